"""Loads the labels of a model, from a file or packed in it, and checks that they fit its classes."""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.events import UNKNOWN
from edged.models import label_text
from edged.models.label_text import MAX_BYTES, MAX_CHARACTERS, MAX_CLASSES, LabelList
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["MAX_BYTES", "MAX_CHARACTERS", "MAX_CLASSES", "LabelList"]

_FEATURES = (
    "if these are features and not classes, it is an embedding extractor, which only edged teach can use"
)
_BACKGROUND = frozenset({"background", "__background__", "_background_", "???"})
_NOT_USED = frozenset({"n/a", "???", "-"})  # names of classes that a model never finds
_MOST_TWINS = 3  # named in a sentence


def load(path: Path, content: int | None = None) -> LabelList:
    """Return the labels in a text file.

    Args:
        path: the file.
        content: a descriptor of sealed memory that holds its bytes; None: read the file.

    Raises:
        ModelError: the file cannot be read or is not a label file; the message names it.
    """
    if content is not None:
        return label_text.read(os.pread(content, MAX_BYTES + 1, 0), str(path))
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, IsADirectoryError):
        raise ModelError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ModelError(f"{path}: the label file cannot be read: {error.strerror}") from None
    return label_text.read(data, str(path))


def parse(data: bytes, where: str) -> tuple[str, ...]:
    """Return the names in the content of a label file; ``where`` names it in errors.

    Raises:
        ModelError: the content is not a list of labels.
    """
    return label_text.read(data, where).names


def fit(
    labels: LabelList | Sequence[str], classes: int, where: str, *, background: bool = False
) -> tuple[str, ...]:
    """Return the labels if there is one for each class.

    Numbers that begin with 1 mean the first class, or the second one where that makes the count right. A
    class called ``unknown`` is renamed, because that is edged's word for "no label is certain enough".

    Args:
        labels: the labels, by class.
        classes: the number of classes of the model.
        where: the labels' origin, for the error.
        background: the first label may be that of a background, which is not among the classes.

    Raises:
        ModelError: the counts differ; if only by the background class, the message says what to do.
    """
    found = labels if isinstance(labels, LabelList) else LabelList(tuple(labels))
    names = found.names
    superfluous = found.heading or (background and names[0].lower() in _BACKGROUND)
    if superfluous and len(names) == classes + 1:
        names = names[1:]
    elif found.first == 1 and len(names) == classes - 1:
        names = ("class 0", *names)
    if len(names) != classes:
        raise ModelError(f"{where}: {_misfit(found, classes)}")
    return tuple(_apart(name, number) for number, name in enumerate(names))


def _misfit(labels: LabelList, classes: int) -> str:
    """Return how the counts differ, and what to do about it."""
    names = labels.names
    hint = "these labels belong to another model"
    background = names[0].lower() in _BACKGROUND
    if len(names) == classes + 1 and background:
        hint = f"this model does not have a background class: remove the first line ({names[0]})"
    elif classes == 2 and len(names) == 1:
        hint = "write two: first the one for a low score, then the one for a high score"
    elif len(names) == classes - 1 and background:
        hint = "a line is missing, and it is not the background class: the file may be truncated"
    elif len(names) == classes - 1:
        hint = "this model probably has a background class: insert a first line with the word background"
    elif any(name == f"class {labels.first + n}" for n, name in enumerate(names)):
        hint = f"{hint}, or the numbers before the names are not those of its classes"
    return f"{len(names)} labels do not fit the {classes} classes of the model; {hint}"


def _apart(name: str, number: int) -> str:
    return f"{UNKNOWN} (class {number})" if name == UNKNOWN else name


def every_reading(labels: LabelList) -> frozenset[str]:
    """Return all labels that :func:`fit` may make of these, for whom does not know the model's classes."""
    apart = (_apart(name, n + shift) for n, name in enumerate(labels.names) for shift in (0, 1, -1))
    return frozenset((*apart, "class 0") if labels.first == 1 else apart)


def warnings(labels: Sequence[str]) -> list[str]:
    """Return what is odd about the labels of a model, as clauses; empty where nothing is.

    Args:
        labels: those of :func:`fit`.
    """
    found = []
    twins = [name for name, count in Counter(labels).items() if count > 1 and name.lower() not in _NOT_USED]
    for name in twins[:_MOST_TWINS]:
        numbers = [str(number) for number, label in enumerate(labels) if label == name]
        listed = f"{', '.join(numbers[:-1][:5])} and {numbers[-1]}"
        found.append(f"classes {listed} have the same name, '{name}', so events cannot tell them apart")
    if len(twins) > _MOST_TWINS:
        found.append(f"{len(twins) - _MOST_TWINS} more names stand for several classes each")
    found += [
        f"a class is called '{UNKNOWN}', which is edged's word for 'no label is certain enough'; "
        f"it appears as '{name}'"
        for number, name in enumerate(labels)
        if name == _apart(UNKNOWN, number)
    ]
    return found


def of_model(
    file: Path,
    packed: LabelList | Sequence[str] | None,
    classes: int,
    given: LabelList | Sequence[str] | None,
    where: str,
    *,
    background: bool = False,
) -> tuple[str, ...]:
    """Return the labels of a model: those given, else those packed in its file.

    Args:
        file: the model's file, for the error.
        packed: the labels packed in it, by class; None: there are none.
        classes: its number of classes.
        given: the labels of a label file, by class; None: there is no label file.
        where: the labels' origin, for the error.
        background: as in :func:`fit`.

    Raises:
        ModelError: there are no labels, or not one for each class.
    """
    found = given if given is not None else packed
    if found is None:
        message = f"no labels are packed in it: write labels, a text file with {classes} lines"
        hint = "" if background else f" ({_FEATURES})"  # which no detector gives
        raise ModelError(f"{file}: {message}{hint}")
    return fit(found, classes, where, background=background)
