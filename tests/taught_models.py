"""Taught models for tests, of small pictures with one bright column; made without a process that teaches."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from tflite_builder import Kind, build

from edged.inference import head as heads
from edged.inference import text_features
from edged.models.taught.head_file import HeadFile
from edged.models.taught.store import Store
from edged.models.tflite.file import read

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
SIDE = 16
# The features are the brightness of each column, so a stripe is a direction of its own.
EMBEDDER = build(shape=(1, SIDE, SIDE, 3), axes=(1, 3), picture=Kind("uint8", 1 / 255), head="none")


def stripe(column: int, seed: int = 0) -> np.ndarray:
    """Return a picture, uint8 ``[SIDE, SIDE, 3]``, with one bright column."""
    random = np.random.default_rng([seed, column])
    picture = random.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
    picture[:, column] = random.integers(180, 256)
    return picture


def features(column: int, seed: int = 0) -> np.ndarray:
    return np.asarray(stripe(column, seed).mean(axis=(0, 2)))


def teach(state_dir: Path, name: str, columns: dict[str, int], each: int = 6, version: int = 1) -> Path:
    """Teach a model in a state directory which column belongs to which label; return its folder."""
    store = Store(state_dir)
    labels = tuple(columns)
    rows = heads.scaled(
        np.stack([features(columns[label], seed) for label in labels for seed in range(each)])
    )
    answers = np.repeat(np.arange(len(labels)), each)
    with store.writing(name) as folder:
        sha256 = read(store.put_embedder(folder, EMBEDDER)).sha256
        store.put(folder, replace(_head(rows, answers, labels), embedder=sha256, version=version))
    return store.folder(name)


def teach_text(state_dir: Path, name: str, sentences: Mapping[str, Sequence[str]]) -> Path:
    """Teach a model in a state directory sentences of each label; return its folder."""
    store, labels = Store(state_dir), tuple(sentences)
    rows = np.stack([text_features.row(line) for label in labels for line in sentences[label]])
    answers = np.repeat(np.arange(len(labels)), [len(sentences[label]) for label in labels])
    with store.writing(name) as folder:
        store.put(folder, replace(_head(rows, answers, labels), gives="text"))
    return store.folder(name)


def _head(rows: np.ndarray, answers: np.ndarray, labels: tuple[str, ...]) -> HeadFile:
    return head_file(heads.fit(rows, answers, len(labels)), rows, answers, labels)


def head_file(fitted: heads.Fit, rows: np.ndarray, answers: np.ndarray, labels: tuple[str, ...]) -> HeadFile:
    """Return what is kept of a head for pictures that was fitted to these rows."""
    return HeadFile(
        version=1,
        gives="picture",
        embedder="",
        features=rows.shape[1],
        labels=labels,
        answers=tuple(answers.tolist()),
        gates=fitted.gates,
        weights=heads.stored(fitted.weights),
        bias=heads.stored(fitted.bias),
        examples=heads.stored(rows),
    )
