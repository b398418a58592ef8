"""Sets of whole numbers as intervals: 100,000 rows that wait in a row cost as much memory as one."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ranges:
    """A set of numbers, kept as disjoint, ascending, inclusive intervals."""

    def __init__(self, intervals: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        self._count = 0
        for first, last in intervals:
            self.add(first, last)

    def __len__(self) -> int:
        return self._count

    def __bool__(self) -> bool:
        return bool(self._first)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._first, number) - 1
        return at >= 0 and number <= self._last[at]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.intervals():
            yield from range(first, last + 1)

    @property
    def last(self) -> int:
        """The greatest number; 0 when there is none."""
        return self._last[-1] if self._last else 0

    def intervals(self) -> list[tuple[int, int]]:
        """Return the intervals, ascending; changes to the set do not show in them."""
        return list(zip(self._first, self._last, strict=True))

    def copy(self) -> Ranges:
        """Return an independent copy."""
        return Ranges(self.intervals())

    def within(self, first: int, last: int) -> Ranges:
        """Return the part from ``first`` to ``last``."""
        low, high = bisect_right(self._last, first - 1), bisect_right(self._first, last)
        return Ranges(
            (max(first, self._first[at]), min(last, self._last[at])) for at in range(low, max(low, high))
        )

    def add(self, first: int, last: int | None = None) -> None:
        """Add a number, or all from ``first`` to ``last``."""
        last = first if last is None else last
        if last < first:
            return
        low = bisect_right(self._last, first - 2)  # the first interval that ends at first - 1 or later
        high = bisect_right(self._first, last + 1)  # behind the last one that begins at last + 1 or earlier
        if low < high:
            first, last = min(first, self._first[low]), max(last, self._last[high - 1])
        self._replace(low, high, [(first, last)])

    def discard(self, first: int, last: int | None = None) -> int:
        """Take a number out, or all from ``first`` to ``last``, and return how many of them were there."""
        last = first if last is None else last
        low = bisect_right(self._last, first - 1)
        high = bisect_right(self._first, last)
        if low >= high:
            return 0
        before = self._count
        left = (self._first[low], first - 1)
        right = (last + 1, self._last[high - 1])
        self._replace(low, high, [part for part in (left, right) if part[0] <= part[1]])
        return before - self._count

    def update(self, others: Ranges) -> None:
        """Add all numbers of another set."""
        for first, last in others.intervals():
            self.add(first, last)

    def subtract(self, others: Ranges) -> None:
        """Take out all numbers of another set."""
        for first, last in others.intervals():
            self.discard(first, last)

    def _replace(self, low: int, high: int, parts: list[tuple[int, int]]) -> None:
        self._count -= sum(self._last[low:high]) - sum(self._first[low:high]) + high - low
        self._count += sum(last - first + 1 for first, last in parts)
        self._first[low:high] = [first for first, _ in parts]
        self._last[low:high] = [last for _, last in parts]
