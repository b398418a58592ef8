from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edged.ipc import readings_page
from edged.ipc.readings_page import Reader, Writer
from edged.ipc.readings_ring import DEPTH, RINGS, Sample

if TYPE_CHECKING:
    from edged.ipc.readings_ring import RingReader


class Page:
    def __init__(self, *followed: str) -> None:
        self.descriptor = readings_page.create()
        self.writer = Writer(self.descriptor, [], followed)
        self.reader = Reader(self.descriptor)
        self.number = 0

    def put(self, name: str, count: int = 1) -> list[Sample]:
        made = []
        for _ in range(count):
            self.number += 1
            sample = Sample(float(self.number), -float(self.number))
            self.good(name, sample.value, sample.at)
            made.append(sample)
        return made

    def good(self, name: str, value: float | bool | None, at: float = 1.0, quality: str = "good") -> None:
        self.writer.put(name, "g", value, quality=quality, ts=0.0, at=at, fresh_s=1.0)


def test_every_reading_is_given_once() -> None:
    page = Page("a/x", "a/y")
    x, y = page.reader.follow("a/x"), page.reader.follow("a/y")
    assert x.new() == []
    first = page.put("a/x", 3)
    other = page.put("a/y", 2)
    assert x.new() == first
    assert x.new() == []
    second = page.put("a/x", 2)
    assert (x.new(), y.new(), x.lost) == (second, other, 0)
    assert page.reader.follow("nobody").new() == []
    page.put("nobody")
    assert page.reader.get("a/x") is None, "a ring needs no record"


def test_only_what_is_a_good_number_is_kept() -> None:
    page = Page("a")
    follower = page.reader.follow("a")
    page.good("a", 1.0, quality="suspect")
    page.good("a", None)
    page.good("a", math.nan)
    page.good("a", True, at=7.0)
    assert follower.new() == [Sample(7.0, 1.0)]


@given(st.lists(st.tuples(st.integers(0, 3 * DEPTH), st.booleans()), max_size=12))
def test_whoever_looks_in_time_misses_nothing_and_who_does_not_is_told(steps: list[tuple[int, bool]]) -> None:
    page = Page("b", "a")
    follower = page.reader.follow("a")
    follower.new()
    waiting: list[Sample] = []
    lost = 0
    for count, looks in steps:
        waiting += page.put("a", count)
        page.put("b", 1)
        if looks:
            lost += max(0, len(waiting) - DEPTH)
            assert follower.new() == waiting[-DEPTH:]
            assert follower.lost == lost
            waiting = []


@given(st.integers(0, 2 * DEPTH), st.integers(0, DEPTH))
def test_a_writer_that_begins_anew_leaves_nothing_of_the_one_before(before: int, after: int) -> None:
    page = Page("x", "a")
    follower, late = page.reader.follow("a"), page.reader.follow("a")
    page.put("a", before)
    follower.new()
    page.writer.close()
    page.writer = Writer(page.descriptor, [], ["a", "y"])
    written = page.put("a", after)
    assert follower.new() == written
    assert late.new() == written
    assert (follower.lost, late.lost) == (0, 0)


def test_who_comes_late_gets_what_is_there_and_has_lost_nothing() -> None:
    page = Page("a")
    written = page.put("a", 2 * DEPTH + 5)
    follower = page.reader.follow("a")
    assert follower.new() == written[-DEPTH:]
    assert follower.lost == 0


@given(st.binary(min_size=1, max_size=64), st.integers(0, 8))
def test_a_page_with_anything_on_it_gives_nothing_else_than_what_was_written(noise: bytes, at: int) -> None:
    page = Page("a")
    written = page.put("a", 8)
    begin = len(page.reader._page) - readings_page.readings_ring.SIZE
    place = begin + RINGS * readings_page.readings_ring._HEAD + at * readings_page.readings_ring._SAMPLE
    for where in (begin, place):
        damaged = bytearray(page.writer._page[where : where + len(noise)])
        page.writer._page[where : where + len(noise)] = bytes(
            a ^ b for a, b in zip(damaged, noise, strict=True)
        )
        assert set(page.reader.follow("a").new()) <= set(written)


def test_there_are_no_more_rings_than_that() -> None:
    names = [f"s{n}" for n in range(RINGS + 1)]
    page = Page(*names)
    page.put(names[-2])
    page.put(names[-1])
    assert len(page.reader.follow(names[-2]).new()) == 1
    assert page.reader.follow(names[-1]).new() == []


def test_a_reader_beside_a_writer_at_full_speed_sees_whole_samples_in_order() -> None:
    page = Page("a")
    follower: RingReader = page.reader.follow("a")
    code = (
        "import sys\nfrom edged.ipc.readings_page import Writer\n"
        "writer = Writer(int(sys.argv[1]), [], ['a'])\n"
        "n = 0.0\n"
        "while True:\n"
        "    n += 1\n"
        "    writer.put('a', 'x', n, quality='good', ts=0.0, at=-n, fresh_s=1.0)\n"
    )
    command = [sys.executable, "-c", code, str(page.descriptor)]
    writing = subprocess.Popen(command, pass_fds=[page.descriptor])
    try:
        seen, last = 0, 0.0
        while seen < 5000:
            for sample in follower.new():
                assert sample.at == -sample.value
                assert sample.value > last
                seen, last = seen + 1, sample.value
    finally:
        writing.kill()
        writing.wait()
