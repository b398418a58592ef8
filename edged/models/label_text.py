"""Reads the forms in which labels lie about: plain lines, numbered lines, tables, JSON, Python, YAML, pbtxt.

A label never keeps its number, its quotes or its braces. Where the form is not certain, the file is refused
with the kind of file that it looks like: a wrong label is worse than none.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import label_structures
from edged.models.label_structures import Unreadable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.label_structures import Names, Pairs

MAX_BYTES = 1_000_000
MAX_CHARACTERS = 128  # of one label; an event holds up to ten labels
MAX_CLASSES = 100_000
_LONGEST_LINE = 1000

_WRITE = "write one name a line, in the order of the model's outputs"
_KINDS = (
    (b"PK\x03\x04", "a zip archive, or a spreadsheet"),
    (b"\xd0\xcf\x11\xe0", "a spreadsheet or a document of an office program"),
    (b"\x93NUMPY", "a NumPy array (.npy)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89HDF", "a Keras model (HDF5)"),
    (b"%PDF", "a PDF document"),
    (b"{\\rtf", "an RTF document; save it as plain text"),
    (b"\x7fELF", "a program or a library"),
    (b"\xff\xd8\xff", "a photograph"),
    (b"\x89PNG", "a picture"),
    (b"SQLite format 3", "a database"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with git lfs pull"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

# A number, and what separates it from the name: "0 cat", "0: cat", "0) cat", "[0] cat", "0 - cat".
_NUMBERED = re.compile(
    r"[\[({#]?\s*[\"']?(\d{1,6})[\"']?\s*[\])}]?"
    r"(?:\s*(?:[=-]>|[:;,|=\u2192])\s*|\s*[-._)/\u2013\u2014]\s*(?!\d)|\s+)(\S.*)"
)
_NUMBER_LAST = re.compile(r"(\S.*?)(?:\s*(?:[=-]>|[:;,|=\u2192])\s*|\s+)(\d{1,6})")
_QUOTES = {
    '"': '"',
    "'": "'",
    "`": "`",
    "\u201c": "\u201d",
    "\u201e": "\u201c",
    "\u00ab": "\u00bb",
    "\u2018": "\u2019",
}


@dataclass(frozen=True, slots=True)
class LabelList:
    """The names in a file of labels.

    Attributes:
        names: in the order of their numbers, else of their lines; a number without a name is ``class N``.
        first: the number of the first name; 0 where they are not numbered.
        heading: the first name may be the heading of a column.
    """

    names: tuple[str, ...]
    first: int = 0
    heading: bool = False


def read(data: bytes, where: str) -> LabelList:
    """Return the labels in the content of a file; ``where`` names it in errors.

    Raises:
        ModelError: the content is not a list of labels; the sentence says what it looks like.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: a label file may have at most {MAX_BYTES // 1_000_000} MB")
    _refuse_other_kinds(data, where)
    text = re.sub(r"\r\n?", "\n", _text(data, where))
    if not text.strip():
        raise ModelError(f"{where}: the label file is empty")
    try:
        found = _structure(text)
    except Unreadable as error:
        raise ModelError(f"{where}: {error}") from None
    if found is None:
        return _of_lines(text, where)
    return _checked(*_in_order(found, where), where)


def _refuse_other_kinds(data: bytes, where: str) -> None:
    kind = next((kind for start, kind in _KINDS if data.startswith(start)), "")
    head = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if data[4:8] == b"TFL3":
        kind = "a .tflite model"
    elif data[:1] == b"\x80" and data[1:2] in {b"\2", b"\3", b"\4", b"\5"}:
        kind = "a Python pickle"
    elif head.startswith((b"<!doctype html", b"<html")):
        kind = "a web page; download the file itself"
    elif re.match(rb"<\?xml|<(\w+)>[^<]*<", head):
        kind = "XML"
    if kind:
        raise ModelError(f"{where}: it looks like {kind}; {_WRITE}")


def _text(data: bytes, where: str) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "")
    if not encoding:
        encoding = _unmarked_utf16(data) or "utf-8"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        what = encoding.upper().removesuffix("-SIG")
        raise ModelError(f"{where}: line {line} is not {what}; save the labels as UTF-8 text") from None


def _unmarked_utf16(data: bytes) -> str:
    """Return the encoding of text whose every other byte is zero."""
    if len(data) < 6 or len(data) % 2:
        return ""
    for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = data[offset::2].count(0), data[1 - offset :: 2].count(0)
        if zeros > 0.8 * len(data) / 2 and not others:
            return encoding
    return ""


def _structure(text: str) -> Names | Pairs | None:
    """Return the labels of structured text; None: it is plain lines. Raises ``Unreadable``."""
    try:
        found = label_structures.literal(text)
    except Unreadable:
        if not text.lstrip().startswith("("):  # a name may begin like that
            raise
        found = None
    return found or label_structures.label_map(text) or label_structures.yaml_names(text)


def _of_lines(text: str, where: str) -> LabelList:
    lines = [line.strip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and lines[0] == "---":
        lines = lines[1:]
    if lines and all(line.startswith("- ") for line in lines):
        lines = [line[2:].strip() for line in lines]
    if comment := next((n for n, line in enumerate(lines, 1) if line.startswith(("# ", "//"))), 0):
        raise ModelError(f"{where}: line {comment} looks like a comment; {_WRITE}")
    if long := next((n for n, line in enumerate(lines, 1) if len(line) > _LONGEST_LINE), 0):
        what = f"label {long} has {len(lines[long - 1])} characters"
        raise ModelError(f"{where}: {what}; the maximum is {MAX_CHARACTERS}")
    lines = _without_commas(lines)
    full = [line for line in lines if line]
    try:
        found = label_structures.table(full)
    except Unreadable as error:
        raise ModelError(f"{where}: {error}") from None
    if found is None:
        found = _numbers_first(full, where) or _numbers_last(full)
    if found is None:
        heading = label_structures.is_heading(lines[0]) and len(lines) > 1
        return _checked(lines, 0, where, heading=heading)
    return _checked(*_in_order(found, where), where)


def _numbers_first(lines: Sequence[str], where: str) -> Pairs | None:
    """Return numbered lines as pairs.

    Raises:
        ModelError: some lines count and others have no number.
    """
    matches = [_NUMBERED.fullmatch(line) for line in lines]
    pairs = [(int(match[1]), match[2]) for match in matches if match]
    if len(pairs) == len(lines):
        # Where every name is the same, as in "1 euro", "2 euro", the number is a part of the name.
        names, numbers = {name for _, name in pairs}, {number for number, _ in pairs}
        return None if len(names) == 1 < len(pairs) == len(numbers) else pairs
    counted = [int(match[1]) - line for line, match in enumerate(matches) if match]
    if len(counted) > 1 and len(set(counted)) == 1 and counted[0] in {0, 1}:
        line = next(number for number, match in enumerate(matches, 1) if not match)
        raise ModelError(f"{where}: line {line} has no number, and others have one; {_WRITE}")
    return None


def _numbers_last(lines: Sequence[str]) -> Pairs | None:
    """Return lines that end with their number as pairs: where they count, and the names differ."""
    matches = [_NUMBER_LAST.fullmatch(line) for line in lines]
    pairs = [(int(match[2]), match[1]) for match in matches if match]
    if len(pairs) < max(2, len(lines)) or len({name for _, name in pairs}) < len(pairs):
        return None
    numbers = sorted(number for number, _ in pairs)
    return pairs if numbers in (list(range(len(pairs))), list(range(1, len(pairs) + 1))) else None


def _without_commas(lines: list[str]) -> list[str]:
    """Remove the commas of quoted lines that were copied out of a list in a program."""
    if len(lines) > 1 and all(line.endswith(('",', "',")) for line in lines[:-1]):
        return [line.removesuffix(",") for line in lines]
    return lines


def _in_order(found: Names | Pairs, where: str) -> tuple[list[str], int]:
    """Return the names by class, and the number of the first one."""
    names: dict[int, str] = {}
    for entry in found:
        if isinstance(entry, str):
            return [name for name in found if isinstance(name, str)], 0
        number, name = entry
        if number in names:
            raise ModelError(f"{where}: duplicate number {number}")
        names[number] = name
    if max(names) >= MAX_CLASSES:
        raise ModelError(f"{where}: number {max(names)} is too large; the maximum is {MAX_CLASSES - 1}")
    first = 1 if min(names) == 1 else 0
    return [names.get(number, f"class {number}") for number in range(first, max(names) + 1)], first


def _checked(names: Sequence[str], first: int, where: str, *, heading: bool = False) -> LabelList:
    names = [_unquoted(name) for name in names]
    behind_ids = label_structures.without_ids(names)
    if behind_ids is not None:
        names = [_unquoted(name) for name in behind_ids]
    for number, label in enumerate(names, 1):
        _check(label, f"{where}: label {number}")
    return LabelList(tuple(names), first, heading)


def _unquoted(label: str) -> str:
    label = label.strip()
    while len(label) > 2 and _QUOTES.get(label[0]) == label[-1]:
        inner = label[1:-1]
        if label[0] == '"':
            inner = inner.replace('""', '"')
        label = inner.strip()
    return label


def _check(label: str, where: str) -> None:
    if not label:
        raise ModelError(f"{where} is empty; every class needs a name")
    if len(label) > MAX_CHARACTERS:
        raise ModelError(f"{where} has {len(label)} characters; the maximum is {MAX_CHARACTERS}")
    if "\t" in label:
        raise ModelError(f"{where} contains a tab: it looks like a table; {_WRITE}")
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in label):
        raise ModelError(f"{where} contains a control character; is this a text file?")
    if label[0] in "\"'`\u201c\u201e\u00ab" or (label[-1] in '"`' and not label[-2:-1].isdecimal()):
        raise ModelError(f"{where} has a quote at one end only: {label!r}; {_WRITE}")
    opened = any(mark in label for mark in "[{")
    if label[0] in "[{|" or label[-1] in "[{|" or (label.rstrip(";")[-1:] in {"]", "}"} and not opened):
        raise ModelError(f"{where} looks like a part of a program or of a table: {label!r}; {_WRITE}")
