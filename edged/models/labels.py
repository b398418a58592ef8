"""Reads label files: one name a line, or Coral's ``id name`` lines; and checks that they fit the model."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from edged.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.models.tflite.file import ModelFile

MAX_BYTES = 1_000_000
MAX_CHARACTERS = 128  # of one label; an event has room for ten of them
MAX_CLASSES = 100_000

_NUMBERED = re.compile(r"(\d{1,6})(?:\s*:\s*|\s+)(\S.*)")
_BACKGROUND = frozenset({"background", "__background__", "_background_"})


def load(path: Path) -> tuple[str, ...]:
    """Return the labels in a text file, by class.

    Raises:
        ModelError: the file cannot be read or is no list of labels; one sentence that names it.
    """
    try:
        if not path.is_file():
            raise ModelError(f"{path}: there is no such file of labels")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: the labels cannot be read: {error.strerror}") from None
    return parse(data, str(path))


def parse(data: bytes, where: str) -> tuple[str, ...]:
    """Return the labels in the content of a label file; ``where`` names it in errors.

    UTF-8 with or without byte order mark, any line ends. Where every line begins with a number, the numbers
    are the classes and may have gaps, which get the name ``class N``.

    Raises:
        ModelError: it is no list of labels.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: a file of labels has at most {MAX_BYTES // 1_000_000} MB")
    lines = [line.strip() for line in _text(data, where).replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    if not lines:
        raise ModelError(f"{where}: there is no label in it")
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
    """Lay the names out by their numbers. A list that is in order and starts at 0 or 1 is meant so."""
    numbers = [number for number, _ in pairs]
    if len(set(numbers)) != len(numbers):
        double = next(n for n in numbers if numbers.count(n) > 1)
        raise ModelError(f"{where}: number {double} stands there twice")
    if max(numbers) >= MAX_CLASSES:
        raise ModelError(f"{where}: number {max(numbers)} is more than any classifier has")
    named = [f"class {number}" for number in range(max(numbers) + 1)]
    for number, name in pairs:
        named[number] = name
    return named


def _check(label: str, where: str) -> None:
    if not label:
        raise ModelError(f"{where} is empty; every class needs a name")
    if len(label) > MAX_CHARACTERS:
        raise ModelError(f"{where} has {len(label)} characters; {MAX_CHARACTERS} are allowed")
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in label):
        raise ModelError(f"{where} has a control character in it; is this a text file?")


def fit(labels: Sequence[str], classes: int, where: str) -> tuple[str, ...]:
    """Return the labels if there is one for each class.

    Args:
        labels: by class.
        classes: how many the model tells apart.
        where: what the labels came from, for the error.

    Raises:
        ModelError: the counts differ; it says what to do where one is off by the background class.
    """
    if len(labels) == classes:
        return tuple(labels)
    hint = "these labels belong to another model"
    if len(labels) == classes + 1 and labels[0].lower() in _BACKGROUND:
        hint = f"this model has no background class: remove the first line ({labels[0]})"
    elif len(labels) == classes - 1 and labels[0].lower() in _BACKGROUND:
        hint = "a line is missing: the background class is there already, so the file seems to be cut"
    elif len(labels) == classes - 1:
        hint = "this model probably has a background class: put a line background first"
    raise ModelError(f"{where}: {len(labels)} labels do not fit the {classes} classes of the model; {hint}")


def of_model(
    model: ModelFile, classes: int, given: Sequence[str] | None, where: str, hint: str = ""
) -> tuple[str, ...]:
    """Return the labels of a model: those given, else those that are packed in it.

    Args:
        model: whose.
        classes: how many it tells apart.
        given: by class; None: there is no file of labels.
        where: what they came from, for the error.
        hint: said behind the error where there are none.

    Raises:
        ModelError: there are none, or not one for each class.
    """
    found = given if given is not None else model.labels
    if found is None:
        what = f"no labels are packed in it: write labels, a text file with {classes} lines"
        raise ModelError(f"{model.path}: {what}{hint}")
    return fit(found, classes, where)
