"""Records how far a source has come: the next worker goes on there, and a drop folder gives a file once.

```
 worker: frame.place ─▶ judged ─▶ Done ─▶ main: in the state directory ─▶ the next worker's order ─▶ Progress
```

A worker may write nothing, so main remembers: the marks of samples (:mod:`edged.sources.decoding`), which
tell it nothing about them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 2048  # samples that are known one by one; of older ones, only when the latest of them was changed


class Place(NamedTuple):
    """The place of a sample in its source.

    Attributes:
        mark: the sample's mark, or its place in a recording; below 2**48.
        changed_s: when its file was last changed, s since 1970; 0 where that means nothing.
        each: every one is remembered, not only the last.
    """

    mark: int
    changed_s: float = 0.0
    each: bool = False


class Progress:
    """The samples that were judged, the latest last.

    Attributes:
        number: their number.
        floor_s: whatever was changed before this was judged, s since 1970.

    Args:
        marks: those that main remembers, with the time of the last change of each; the latest last.
        floor_s: as above.
        number: as above.
    """

    def __init__(
        self, marks: Iterable[tuple[int, float]] = (), floor_s: float = 0.0, number: int = 0
    ) -> None:
        self._marks = dict(marks)
        self.floor_s = floor_s
        self.number = number

    @property
    def last(self) -> int:
        """The mark of the latest one; 0 where there is none."""
        return next(reversed(self._marks), 0)

    @property
    def marks(self) -> tuple[tuple[int, float], ...]:
        """The marks, each with the time of the last change; the latest last."""
        return tuple(self._marks.items())

    def has(self, mark: int, changed_s: float) -> bool:
        """Return whether a file was judged before."""
        return mark in self._marks or changed_s <= self.floor_s

    def done(self, place: Place, number: int) -> None:
        """Note that a sample was judged."""
        if not place.each:
            self._marks.clear()
        self._marks.pop(place.mark, None)
        self._marks[place.mark] = place.changed_s
        self.number = number
        if len(self._marks) > MOST:
            oldest = next(iter(self._marks))
            self.floor_s = max(self.floor_s, self._marks.pop(oldest))
