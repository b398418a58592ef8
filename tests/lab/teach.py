#!/usr/bin/env python3
"""How well does `edged teach` learn from few photographs? Prints the rows of the table in docs/models.md.

    tests/lab/teach.py DIR [--strangers DIR] [--model F.tflite] [--draws 10] [--each 3,10,30] [--mirror]

DIR has `train/LABEL/*.jpg` and `test/LABEL/*.jpg` (or `val`); the strangers are photographs of other things,
in a folder or in folders. For each number of photographs it draws that many of each label from `train` and
teaches them, ten times over; what was drawn is never asked. Then it runs the command itself and measures how
long it takes, and the memory of its process. `--mirror` teaches each photograph mirrored, too.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np

from edged.inference import head as heads
from edged.inference import model
from edged.inference.preprocess import Preparer
from edged.models import bundled
from edged.models.loaded_model import LoadedModel
from edged.models.spec import PictureInput
from edged.models.taught import embedder as embedders
from edged.models.taught.head_file import HeadFile
from edged.models.tflite import embedding
from edged.models.tflite import file as tflite_file
from edged.sources import Frame, photographs
from edged.sources.photograph_names import is_photograph
from edged.tools.teach import Teacher
from edged.tools.teach import photographs as examples_of

TURNS = 5  # of the command


@dataclass
class Shown:
    """Features and labels of photographs."""

    rows: np.ndarray
    answers: np.ndarray


class Eye:
    """Makes features as a worker does."""

    def __init__(self, file: Path, folder: Path) -> None:
        whole = tflite_file.read(file)
        cut = embedding.cut(whole)
        path = folder / "embedder.tflite"
        path.write_bytes(whole.content[:] if cut is None else cut)
        found = tflite_file.read(path)
        spec = embedders.spec(found)
        assert isinstance(spec.input, PictureInput)
        self._output = spec.outputs[0]
        self._model = model.open_model(LoadedModel(found, spec, ()), threads=1)
        self._prepare = Preparer(spec.input).prepare

    def row(self, path: Path, *, mirrored: bool = False) -> np.ndarray | None:
        try:
            pixels = photographs.read(path).pixels
        except OSError:
            return None
        if mirrored:
            pixels = np.asarray(cv2.flip(pixels, 1), np.uint8)
        return heads.features_of(self._model.invoke(self._prepare(Frame(pixels, 0.0))), self._output)


def files(folder: Path) -> list[tuple[Path, str]]:
    return [(p, p.parent.name) for p in sorted(folder.rglob("*")) if p.is_file() and is_photograph(p.name)]


def look(eye: Eye, folder: Path, labels: list[str]) -> Shown:
    pairs = [(eye.row(path), labels.index(label)) for path, label in files(folder) if label in labels]
    kept = [(row, answer) for row, answer in pairs if row is not None]
    return Shown(np.stack([row for row, _ in kept]), np.array([answer for _, answer in kept]))


def drawn(answers: np.ndarray, each: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.concatenate(
        [random.permutation(np.flatnonzero(answers == label))[:each] for label in range(answers.max() + 1)]
    )


def trial(
    train: Shown, test: Shown, strangers: np.ndarray, chosen: np.ndarray, more: np.ndarray | None
) -> Any:
    """Return (top-1 of the test folder, of all that was not drawn, left out, kept, right, rejected)."""
    rows, answers = train.rows[chosen], train.answers[chosen]
    if more is not None:
        rows, answers = np.concatenate([rows, more[chosen]]), np.concatenate([answers, answers])
    labels = int(answers.max()) + 1
    fitted = heads.fit(rows, answers, labels)
    stored = (heads.stored(part) for part in (fitted.weights, fitted.bias, rows))
    names = tuple(str(label) for label in range(labels))
    head = heads.Head(
        HeadFile(1, "picture", "", rows.shape[1], names, tuple(answers.tolist()), fitted.gates, *stored)
    )
    said = head.answers(test.rows)
    right, passed = said.argmax(axis=1) == test.answers, head.passes(test.rows, said)
    rest = np.setdiff1d(np.arange(len(train.rows)), chosen)
    unseen = np.concatenate([test.rows, train.rows[rest]])
    truth = np.concatenate([test.answers, train.answers[rest]])
    named = head.answers(unseen).argmax(axis=1) == truth
    balanced = np.mean([named[truth == label].mean() for label in range(labels)])
    away = 1 - head.passes(strangers, head.answers(strangers)).mean() if len(strangers) else np.nan
    left_out = (fitted.left_out.argmax(axis=1) == answers).mean()
    return right.mean(), balanced, left_out, passed.mean(), right[passed].mean() if passed.any() else 0, away


class Scales:
    """Weighs the process that teaches, from outside, while a lesson runs."""

    def __init__(self) -> None:
        self.all_mb = self.own_mb = self.core_s = 0.0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.002):
            for process in Path("/proc").iterdir():
                status = process / "status"
                with contextlib.suppress(OSError, KeyError):
                    said = dict(
                        line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line
                    )
                    if said["Name"] == "edged-teach":
                        self.all_mb = max(self.all_mb, int(said["VmHWM"].split()[0]) * 1024 / 1e6)
                        self.own_mb = max(self.own_mb, int(said["RssAnon"].split()[0]) * 1024 / 1e6)
                        times = status.with_name("stat").read_text().rpartition(")")[2].split()[11:13]
                        self.core_s = max(self.core_s, sum(map(int, times)) / os.sysconf("SC_CLK_TCK"))


def command(folder: Path, chosen: list[tuple[Path, str]], file: Path) -> str:
    """Teach with the command's own process; return the time and the memory that it took, in words."""
    for path, label in chosen:
        (folder / "few" / label).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / "few" / label / path.name)
    teacher = Teacher(folder / "state", Silent())
    shown = examples_of(folder / "few", None)
    with Scales() as scales:
        took = [float(teacher.teach(f"few-{turn}", shown, file)["seconds"]) for turn in range(TURNS)]
    return (
        f"{len(chosen)} photographs taught in {min(took):.2f} s (best of {TURNS}), at most "
        f"{scales.core_s:.2f} s of a core; "
        f"{scales.own_mb:.0f} MB of its own, {scales.all_mb:.0f} MB with libraries that workers share"
    )


class Silent:
    def progress(self, done: int, total: int) -> None:
        pass

    def taken(self, number: int, total: int) -> None:
        pass

    def note(self, sentence: str) -> None:
        print(sentence)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strangers", type=Path)
    parser.add_argument("--model", type=Path, default=bundled.MODEL)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--each", default="3,10,30")
    parser.add_argument("--mirror", action="store_true")
    given = parser.parse_args()
    train, test = given.folder / "train", given.folder / "test"
    test = test if test.is_dir() else given.folder / "val"
    labels = sorted(path.name for path in train.iterdir() if path.is_dir())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        eye = Eye(given.model, folder)
        shown, asked = look(eye, train, labels), look(eye, test, labels)
        others = [eye.row(path) for path, _ in files(given.strangers)] if given.strangers else []
        strangers = np.stack([row for row in others if row is not None]) if others else np.empty((0, 0))
        mirrored = None
        if given.mirror:
            rows = [eye.row(path, mirrored=True) for path, label in files(train) if label in labels]
            mirrored = np.stack([row for row in rows if row is not None])
        print("| each | test | all others | left out | kept | right among kept | far rejected |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for each in map(int, given.each.split(",")):
            found = np.array(
                [
                    trial(shown, asked, strangers, drawn(shown.answers, each, seed), mirrored)
                    for seed in range(given.draws)
                ]
            )
            mean, spread = 100 * found.mean(axis=0), 100 * found.std(axis=0)
            cells = [f"{mean[0]:.1f} ± {spread[0]:.1f}", *(f"{value:.1f}" for value in mean[1:])]
            print(f"| {each} | {' | '.join(cells)} |")
        pairs = [(path, label) for path, label in files(train) if label in labels]
        few = pairs  # where one cannot be read, all of them
        if len(pairs) == len(shown.rows):
            few = [pairs[number] for number in drawn(shown.answers, 10, 0)]
        print(f"\n{command(folder, few, given.model)}")


if __name__ == "__main__":
    main()
