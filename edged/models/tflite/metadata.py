"""Reads TFLite metadata: the normalisation that a model was trained with, its label files, its calibration.

The metadata is a FlatBuffer in one of the model's buffers. The files that it names are in a zip archive
appended to the .tflite file (schema: ``metadata_schema.fbs`` of tflite-support).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.models.normalization import Normalization
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_AXIS_LABELS, _VALUE_LABELS = 2, 3  # AssociatedFileType: TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS
_AXIS_CALIBRATION = 4  # TENSOR_AXIS_SCORE_CALIBRATION
_NORMALIZATION, _CALIBRATION = 1, 2  # ProcessUnitOptions: NormalizationOptions, ScoreCalibrationOptions
_TOKENIZERS, _REGEX = frozenset({4, 5, 6}), 6  # those of BERT, SentencePiece and regular expressions
_BETWEEN_WORDS = r"[^\w\']+"  # the expression of all models that are known here; no other one is run


@dataclass(frozen=True)
class CalibrationEntry:
    """A calibration of scores: the number of its transformation, the default score, and the packed file."""

    transformation: int
    default: float
    file: str


@dataclass(frozen=True)
class Metadata:
    """The metadata of a model.

    Attributes:
        normalization: the normalisation of the input, or None.
        label_files: the names of the packed files with the labels of the outputs, the best one first.
        calibrations: how the scores of each output are calibrated, or None.
        vocabulary_file: the name of the packed file with its words; empty: a tokenizer that is not known
            here; None: there is no tokenizer.
    """

    normalization: Normalization | None = None
    label_files: tuple[str, ...] = ()
    calibrations: tuple[CalibrationEntry | None, ...] = ()
    vocabulary_file: str | None = None


def read(blob: memoryview) -> Metadata:
    """Read the metadata from the buffer named TFLITE_METADATA.

    Raises:
        Malformed: it is truncated or damaged.
    """
    if len(blob) < 8 or bytes(blob[4:8]) != b"M001":
        raise Malformed("metadata")
    subgraph = next(FlatBuffer(blob).root().tables(3), None)
    if subgraph is None:
        return Metadata()
    image = next(subgraph.tables(2), None)
    answers = list(subgraph.tables(3))
    return Metadata(
        _normalization(image) if image is not None else None,
        _label_files(answers),
        tuple(map(_calibration, answers)),
        _vocabulary_file([*(image.tables(4) if image is not None else ()), *subgraph.tables(5)]),
    )


def _vocabulary_file(units: Sequence[Table]) -> str | None:
    kinds = {unit.integer(0, "B"): unit.table(1) for unit in units}
    options = kinds.get(_REGEX)
    if options is not None and options.text(0) == _BETWEEN_WORDS:
        return next((file.text(0) for file in options.tables(1)), "")
    return "" if _TOKENIZERS & kinds.keys() else None


def _normalization(tensor: Table) -> Normalization | None:
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.integer(0, "B") == _NORMALIZATION and options is not None:
            mean, std = options.numbers(0, "f"), options.numbers(1, "f")
            if _usable(mean, std):
                return Normalization(mean, std)
    return None


def _usable(mean: tuple[float, ...], std: tuple[float, ...]) -> bool:
    counts = len(mean) in {1, 3} and len(std) in {1, 3}
    return counts and all(map(math.isfinite, mean)) and all(math.isfinite(s) and s > 0 for s in std)


def _calibration(tensor: Table) -> CalibrationEntry | None:
    file = next((f.text(0) for f in tensor.tables(6) if f.integer(2, "b") == _AXIS_CALIBRATION), "")
    for unit in tensor.tables(4):
        options = unit.table(1)
        if unit.integer(0, "B") == _CALIBRATION and options is not None and file:
            default = options.decimal(1)
            return CalibrationEntry(options.integer(0, "b"), default if math.isfinite(default) else 0.0, file)
    return None


def _label_files(tensors: Sequence[Table]) -> tuple[str, ...]:
    """Return the names of the label files: the English display names, those of the classes, then others.

    A file with a locale holds the names to show; the one without may hold identifiers, such as ``/m/01yrx``.
    """
    ranked: list[tuple[int, str]] = []
    for file in (file for tensor in tensors for file in tensor.tables(6)):
        kind, name, locale = file.integer(2, "b"), file.text(0), file.text(3).lower()
        if kind in {_AXIS_LABELS, _VALUE_LABELS} and name:
            english = locale == "en" or locale.startswith(("en-", "en_"))
            ranked.append((0 if english else 1 if not locale else 2, name))
    return tuple(name for _, name in sorted(ranked, key=lambda entry: entry[0]))
