"""Reads label files, one name or Coral's ``id name`` per line, and checks that they fit the model."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

MAX_BYTES = 1_000_000
MAX_CHARACTERS = 128  # of one label; an event holds up to ten labels
MAX_CLASSES = 100_000

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*:\s*|\s+)(\S.*)")
_FEATURES = "if these are features and not classes, it is an embedding extractor, which edged cannot run"
_BACKGROUND = frozenset({"background", "__background__", "_background_"})


def load(path: Path, content: int | None = None) -> tuple[str, ...]:
    """Return the labels in a text file, by class.

    Args:
        path: the file.
        content: a descriptor of sealed memory that holds its bytes; None: read the file.

    Raises:
        ModelError: the file cannot be read or is not a label file; the message names it.
    """
    if content is not None:
        return parse(os.pread(content, MAX_BYTES + 1, 0), str(path))
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise ModelError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: the label file cannot be read: {error.strerror}") from None
    return parse(data, str(path))


def parse(data: bytes, where: str) -> tuple[str, ...]:
    """Return the labels in the content of a label file; ``where`` names it in errors.

    The text is UTF-8 with or without a byte order mark, with any line ends. If every line begins with a
    number, the numbers are the classes; a class without a line is named ``class N``.

    Raises:
        ModelError: the content is not a list of labels.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: a label file may have at most {MAX_BYTES // 1_000_000} MB")
    lines = [line.strip() for line in _text(data, where).replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ModelError(f"{where}: the label file is empty")
    numbered = [_NUMBERED.fullmatch(line) for line in lines if line]
    named = _by_number([(int(m[1]), m[2]) for m in numbered if m], where) if all(numbered) else lines
    for number, label in enumerate(named, 1):
        _check(label, f"{where}: label {number}")
    return tuple(named)


def _text(data: bytes, where: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ModelError(f"{where}: line {line} is not UTF-8; save the labels as UTF-8 text") from None


def _by_number(pairs: Sequence[tuple[int, str]], where: str) -> list[str]:
    """Return the names by class. The numbers count from 0; a class without a line gets a substitute name."""
    names: dict[int, str] = {}
    for number, name in pairs:
        if number in names:
            raise ModelError(f"{where}: duplicate number {number}")
        names[number] = name
    if max(names) >= MAX_CLASSES:
        raise ModelError(f"{where}: number {max(names)} is too large; the maximum is {MAX_CLASSES - 1}")
    return [names.get(number, f"class {number}") for number in range(max(names) + 1)]


def _check(label: str, where: str) -> None:
    if not label:
        raise ModelError(f"{where} is empty; every class needs a name")
    if len(label) > MAX_CHARACTERS:
        raise ModelError(f"{where} has {len(label)} characters; the maximum is {MAX_CHARACTERS}")
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in label):
        raise ModelError(f"{where} contains a control character; is this a text file?")


def fit(labels: Sequence[str], classes: int, where: str) -> tuple[str, ...]:
    """Return the labels if there is one for each class.

    Args:
        labels: the labels, by class.
        classes: the number of classes of the model.
        where: the labels' origin, for the error.

    Raises:
        ModelError: the counts differ; if only by the background class, the message says what to do.
    """
    if len(labels) == classes:
        return tuple(labels)
    hint = "these labels belong to another model"
    if len(labels) == classes + 1 and labels[0].lower() in _BACKGROUND:
        hint = f"this model does not have a background class: remove the first line ({labels[0]})"
    elif len(labels) == classes - 1 and labels[0].lower() in _BACKGROUND:
        hint = "a line is missing, and it is not the background class: the file may be truncated"
    elif len(labels) == classes - 1:
        hint = "this model probably has a background class: insert a first line with the word background"
    raise ModelError(f"{where}: {len(labels)} labels do not fit the {classes} classes of the model; {hint}")


def of_model(
    file: Path, packed: Sequence[str] | None, classes: int, given: Sequence[str] | None, where: str
) -> tuple[str, ...]:
    """Return the labels of a model: those given, else those packed in its file.

    Args:
        file: the model's file, for the error.
        packed: the labels packed in it, by class; None: there are none.
        classes: its number of classes.
        given: the labels of a label file, by class; None: there is no label file.
        where: the labels' origin, for the error.

    Raises:
        ModelError: there are no labels, or not one for each class.
    """
    found = given if given is not None else packed
    if found is None:
        message = f"no labels are packed in it: write labels, a text file with {classes} lines"
        raise ModelError(f"{file}: {message} ({_FEATURES})")
    return fit(found, classes, where)
