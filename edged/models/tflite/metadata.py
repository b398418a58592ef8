"""Reads TFLite metadata: a classifier's labels and the normalisation that it was trained with.

The metadata is a FlatBuffer in one of the model's buffers. The label file that it names is in a zip archive
appended to the .tflite file (schema: ``metadata_schema.fbs`` of tflite-support).
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.models import labels as label_files
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

_AXIS_LABELS = 2  # AssociatedFileType.TENSOR_AXIS_LABELS
_NORMALIZATION = 1  # ProcessUnitOptions.NormalizationOptions
_READABLE = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_LOCAL_HEADER, _END, _END_64 = b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _MAX_COMMENT = 22, 20, 65_535
MAX_MEMBERS = 64  # packed files; a model has one to three
_MAX_DIRECTORY = MAX_MEMBERS * 1024  # bytes
# Raised by zipfile on archives that are truncated, crafted, encrypted or compressed in an unusual way.
_BAD_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)


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
        label_file: the name of the packed file with the labels of the output, or None.
    """

    normalization: Normalization | None = None
    label_file: str | None = None


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
        _label_file(answer) if answer is not None else None,
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


def _label_file(tensor: Table) -> str | None:
    """Return the label file's name: the one without a locale, else the English one, else any."""
    ranked: list[tuple[int, str]] = []
    for file in tensor.tables(6):
        if file.integer(2, "b") == _AXIS_LABELS and file.text(0):
            locale = file.text(3)
            ranked.append((0 if not locale else 1 if locale.startswith("en") else 2, file.text(0)))
    return min(ranked)[1] if ranked else None


def packed_labels(content: bytes | mmap.mmap, end: int, name: str, where: str) -> tuple[str, ...] | None:
    """Return the labels in a packed file, or None where the file is not packed.

    Args:
        content: the bytes of the whole .tflite file.
        end: a position at or before the end of its FlatBuffer.
        name: the name of the packed file.
        where: the model's name in errors.

    Raises:
        Malformed: an archive follows the FlatBuffer but cannot be read.
        ModelError: the packed file is not a label file.
    """
    begin = content.find(_LOCAL_HEADER, end)
    if begin < 0:
        return None
    _bound(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content[begin:])) as archive:
            member = next(_named(archive, name), None)
            if member is None:
                return None
            with archive.open(member) as file:
                data = file.read(label_files.MAX_BYTES + 1)
    except _BAD_ARCHIVE as error:
        raise Malformed(f"packed files: {error}") from None
    return label_files.parse(data, f"{where}: {name} packed in it")


def _bound(content: bytes | mmap.mmap) -> None:
    """Refuse an archive with more than ``MAX_MEMBERS`` before ``zipfile`` makes an object for each.

    Both the number and the size of the central directory are bounded, since ``zipfile`` goes by the size. The
    record of the ZIP64 format, which would override them, is refused.

    Raises:
        Malformed: the archive has no end record, or too many members.
    """
    # As zipfile does: at the end of the file, else before the longest comment.
    at = len(content) - _END_BYTES
    if at < 0 or content[at : at + 4] != _END or content[-2:] != b"\0\0":
        at = content.rfind(_END, max(0, at - _MAX_COMMENT))
    record = content[at : at + _END_BYTES]
    if at < 0 or len(record) < _END_BYTES:
        raise Malformed("packed files: the archive is cut off")
    members, directory = struct.unpack("<HI", record[10:16])
    is_64 = content[max(0, at - _END_64_BYTES) : at].startswith(_END_64)
    if members > MAX_MEMBERS or directory > _MAX_DIRECTORY or is_64:
        raise Malformed(f"packed files: more than {MAX_MEMBERS}")


def _named(archive: zipfile.ZipFile, name: str) -> Iterator[zipfile.ZipInfo]:
    for member in archive.infolist():
        if member.filename == name and member.compress_type in _READABLE and not member.flag_bits & 1:
            yield member
