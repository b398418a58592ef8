"""Which labels the name of a folder means.

Capitals do not count, and ``_`` is a space. Many files of ImageNet's labels have several names a line,
``hotdog, hot dog, red hot``: each of them will do, unless a line says just that.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Answers:
    """Looks names up in a model's labels."""

    def __init__(self, labels: Iterable[str]) -> None:
        self._whole: dict[str, set[str]] = {}
        self._parts: dict[str, set[str]] = {}
        for label in labels:
            self._whole.setdefault(_fold(label), set()).add(label)
            for part in _parts(label):
                self._parts.setdefault(_fold(part), set()).add(label)

    def meant_by(self, name: str) -> frozenset[str]:
        """Return the labels that are right where a folder has this name; empty: it is a stranger."""
        name = _fold(name)
        return frozenset(self._whole.get(name) or self._parts.get(name) or ())


def names(labels: Iterable[str]) -> Iterator[str]:
    """Give every name that would mean one of the labels."""
    for label in labels:
        yield label
        yield from _parts(label)


def _parts(label: str) -> list[str]:
    return [part.strip() for part in label.split(",") if part.strip()]


def _fold(name: str) -> str:
    # Some systems write an accent as a character of its own.
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()
