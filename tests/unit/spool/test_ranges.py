"""Intervals behave as the set of their numbers does."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edged.spool.ranges import Ranges

numbers = st.integers(1, 40)
spans = st.tuples(numbers, st.integers(0, 8)).map(lambda span: (span[0], span[0] + span[1]))


class AsASet(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ranges = Ranges()
        self.model: set[int] = set()

    @rule(span=spans)
    def add(self, span: tuple[int, int]) -> None:
        self.ranges.add(*span)
        self.model |= set(range(span[0], span[1] + 1))

    @rule(number=numbers)
    def add_one(self, number: int) -> None:
        self.ranges.add(number)
        self.model.add(number)

    @rule(span=spans)
    def discard(self, span: tuple[int, int]) -> None:
        part = set(range(span[0], span[1] + 1))
        assert self.ranges.discard(*span) == len(part & self.model)
        self.model -= part

    @rule(others=st.lists(spans, max_size=3))
    def subtract(self, others: list[tuple[int, int]]) -> None:
        self.ranges.subtract(Ranges(others))
        self.model -= set(Ranges(others))

    @invariant()
    def the_same_numbers(self) -> None:
        assert list(self.ranges) == sorted(self.model)
        assert len(self.ranges) == len(self.model)
        assert self.ranges.last == max(self.model, default=0)
        assert all((number in self.ranges) == (number in self.model) for number in range(50))

    @invariant()
    def apart_and_in_order(self) -> None:
        intervals = self.ranges.intervals()
        assert all(first <= last for first, last in intervals)
        assert all(one[1] + 1 < two[0] for one, two in itertools.pairwise(intervals))


TestAsASet = AsASet.TestCase


@given(st.lists(spans), spans)
def test_a_part_is_what_both_have(intervals: list[tuple[int, int]], span: tuple[int, int]) -> None:
    ranges = Ranges(intervals)
    assert set(ranges.within(*span)) == set(ranges) & set(range(span[0], span[1] + 1))


def test_a_copy_is_another_set() -> None:
    ranges = Ranges([(1, 3)])
    ranges.copy().add(9)
    assert list(ranges) == [1, 2, 3]
    assert not Ranges()
