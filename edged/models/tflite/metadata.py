"""Reads TFLite metadata: the normalisation that a model was trained with, its label files, its calibration.

The metadata is a FlatBuffer in one of the model's buffers. The files that it names are in a zip archive
appended to the .tflite file (schema: ``metadata_schema.fbs`` of tflite-support).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table

_AXIS_LABELS, _VALUE_LABELS = 2, 3  # AssociatedFileType: TENSOR_AXIS_LABELS, TENSOR_VALUE_LABELS
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions


@dataclass(frozen=True)
class Normalization:
    """Scaling of pixels: (pixel - mean) / std, with one number for all channels or one per channel."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclass(frozen=True)
class Metadata:
    """The metadata of a model.

    Attributes:
        normalization: the normalisation of the input, or None.
        label_files: the names of the packed files with the labels of the output, the best one first.
    """

    normalization: Normalization | None = None
    label_files: tuple[str, ...] = ()


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
    answer = next(subgraph.tables(3), None)
    return Metadata(
        _normalization(image) if image is not None else None,
        _label_files(answer) if answer is not None else (),
    )


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


def _label_files(tensor: Table) -> tuple[str, ...]:
    """Return the names of the label files: the English display names, those of the classes, then others.

    A file with a locale holds the names to show; the one without may hold identifiers, such as ``/m/01yrx``.
    """
    ranked: list[tuple[int, str]] = []
    for file in tensor.tables(6):
        kind, name, locale = file.integer(2, "b"), file.text(0), file.text(3).lower()
        if kind in {_AXIS_LABELS, _VALUE_LABELS} and name:
            english = locale == "en" or locale.startswith(("en-", "en_"))
            ranked.append((0 if english else 1 if not locale else 2, name))
    return tuple(name for _, name in sorted(ranked, key=lambda entry: entry[0]))
