from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.heartbeat import MAX_SEATS, Pulse, Reading, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pulse() -> Iterator[Pulse]:
    page = Pulse.create()
    yield page
    page.close()


def test_what_one_side_writes_the_other_reads(pulse: Pulse) -> None:
    theirs = Pulse(os.dup(pulse.fd))
    theirs.model().enter(Stage.INVOKE)
    theirs.capture(MAX_SEATS - 1).enter(Stage.CAPTURE)
    assert pulse.model().read().stage is Stage.INVOKE
    assert pulse.capture(MAX_SEATS - 1).read().stage is Stage.CAPTURE
    theirs.close()
    assert pulse.model().read().stage is Stage.INVOKE


def test_a_page_begins_with_a_birth_and_without_captures(pulse: Pulse) -> None:
    assert pulse.model().read().stage is Stage.BIRTH
    assert {pulse.capture(seat).read().stage for seat in range(MAX_SEATS)} == {Stage.GONE}


def test_lanes_do_not_touch_each_other(pulse: Pulse) -> None:
    pulse.capture(3).enter(Stage.OPEN)
    assert pulse.capture(2).read().stage is pulse.capture(4).read().stage is Stage.GONE
    assert pulse.model().read().stage is Stage.BIRTH


@given(st.binary(min_size=16, max_size=16))
def test_garbage_reads_as_something_or_as_overdue(garbage: bytes) -> None:
    pulse = Pulse.create()
    try:
        os.pwrite(pulse.fd, garbage, 0)
        code, since = struct.unpack("dd", garbage)
        reading = pulse.model().read()
        if code in set(Stage) and math.isfinite(since):
            assert reading == Reading(Stage(int(code)), since)
        else:
            assert reading == Reading(Stage.IDLE, 0.0)
    finally:
        pulse.close()


def test_may_be_closed_twice() -> None:
    pulse = Pulse.create()
    pulse.close()
    pulse.close()
    assert pulse.fd == -1
