"""Reads what is appended to a .tflite file: a zip archive of label files, or JSON that names the classes.

TFLite metadata names the files that it packed. Exporters without it append ``labels.txt``, ``names.json``, or
a description of the model with its classes (Ultralytics' ``metadata.json``, once ``temp_meta.txt``).
"""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import label_text
from edged.models.tflite.flatbuffer import Malformed

if TYPE_CHECKING:
    import mmap
    from collections.abc import Mapping, Sequence

    from edged.models.label_text import LabelList

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

# Files of labels that no metadata names, the best one first; the last ones may be about something else.
_FORMS = r"\.(?:txt|json|csv|ya?ml|pbtxt)"
_LIKELY = (
    re.compile(rf"(?:.*/)?(?:labels?|label_?map|class_?names|classes|names|dict){_FORMS}", re.IGNORECASE),
    re.compile(rf"(?:.*/)?[^/]{{0,80}}labels?[^/]{{0,80}}{_FORMS}", re.IGNORECASE),
)
_DESCRIPTION = re.compile(r"(?:.*/)?(?:metadata|temp_meta|data|config)\.(?:txt|json|ya?ml)", re.IGNORECASE)
_ULTRALYTICS = re.compile(rb"[\"']?(?:imgsz|stride)[\"']?\s{0,9}:")
_NAMES = re.compile(rb"names|labels|classes|^\{\s{0,9}[\"']?\d")
_RAW = re.compile(rb"[{\[]")
_MOST_STARTS = 16  # positions at which appended JSON may begin


@dataclass(frozen=True)
class Packed:
    """The files that are appended to a model.

    Attributes:
        labels: the names of its classes; None: there are none.
        zero_to_one: its exporter trains models on pixels from 0 to 1.
        files: the content of further files that were asked for, by name.
    """

    labels: LabelList | None = None
    zero_to_one: bool = False
    files: tuple[tuple[str, bytes], ...] = ()


def read(
    content: bytes | mmap.mmap, end: int, label_files: Sequence[str], where: str, others: Sequence[str] = ()
) -> Packed:
    """Read what follows the FlatBuffer.

    Args:
        content: the bytes of the whole .tflite file.
        end: a position at or before the end of its FlatBuffer.
        label_files: the names of packed label files by the metadata, the best one first.
        where: the model's name in errors.
        others: the names of further packed files to return.

    Raises:
        Malformed: an archive follows the FlatBuffer but cannot be read.
        ModelError: a packed file of labels is not one.
    """
    begin = content.find(_LOCAL_HEADER, end)
    if begin < 0:
        return _raw(content, end, where)
    _bound(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content[begin:])) as archive:
            usable = (m for m in archive.infolist() if m.compress_type in _READABLE and not m.flag_bits & 1)
            members = {member.filename: member for member in usable}

            def member(name: str) -> bytes:
                with archive.open(members[name]) as file:
                    return file.read(label_text.MAX_BYTES + 1)

            found = _label_file(members, label_files)
            described = next(filter(_DESCRIPTION.fullmatch, members), None)
            data = member(found) if found else b""
            description = member(described) if described else b""
            files = tuple((name, member(name)) for name in others if name in members)
    except _BAD_ARCHIVE as error:
        raise Malformed(f"packed files: {error}") from None
    packed = _described(description, where)
    labels = packed.labels
    if found in label_files:
        labels = label_text.read(data, f"{where}: {found} packed in it")
    elif found:  # the metadata do not name it
        labels = _list(data, where) or labels
    return Packed(labels, packed.zero_to_one, files)


def _label_file(members: Mapping[str, object], named: Sequence[str]) -> str | None:
    """Return the packed file of labels: one that the metadata names, else one with such a name."""
    for name in named:
        if name in members:
            return name
    if named:
        return None
    for pattern in _LIKELY:
        for name in members:
            if pattern.fullmatch(name):
                return name
    return None


def _described(data: bytes, where: str) -> Packed:
    """Return the content of a description of a model, in JSON, YAML or as a Python dictionary."""
    if not data:
        return Packed()
    try:
        labels = label_text.read(data, where) if _NAMES.search(data) else None
    except ModelError:
        labels = None
    return Packed(labels, labels is not None and _ULTRALYTICS.search(data) is not None)


def _raw(content: bytes | mmap.mmap, end: int, where: str) -> Packed:
    """Return the content of JSON without an archive, which ends where the file ends."""
    tail = content[max(end, len(content) - label_text.MAX_BYTES) :].rstrip(b"\0 \t\r\n")
    if not tail.endswith((b"}", b"]")):
        return Packed()
    for start in [found.start() for found in _RAW.finditer(tail)][:_MOST_STARTS]:
        try:
            json.loads(tail[start:])
        except (ValueError, RecursionError):
            continue
        return (
            _described(tail[start:], where)
            if tail[start : start + 1] == b"{"
            else Packed(_list(tail[start:], where))
        )
    return Packed()


def _list(data: bytes, where: str) -> LabelList | None:
    try:
        return label_text.read(data, where)
    except ModelError:
        return None


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
