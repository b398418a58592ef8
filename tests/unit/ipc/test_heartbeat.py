from __future__ import annotations

import math
import os
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.heartbeat import MAX_PIPELINES, Heartbeat, Reading, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def heartbeat() -> Iterator[Heartbeat]:
    page = Heartbeat.create()
    yield page
    page.close()


def test_what_one_side_writes_the_other_reads(heartbeat: Heartbeat) -> None:
    theirs = Heartbeat(os.dup(heartbeat.fd))
    theirs.model().enter(Stage.INVOKE)
    theirs.capture(MAX_PIPELINES - 1).enter(Stage.CAPTURE)
    assert heartbeat.model().read().stage is Stage.INVOKE
    assert heartbeat.capture(MAX_PIPELINES - 1).read().stage is Stage.CAPTURE
    theirs.close()
    assert heartbeat.model().read().stage is Stage.INVOKE


def test_a_page_begins_with_a_birth_and_without_captures(heartbeat: Heartbeat) -> None:
    assert heartbeat.model().read().stage is Stage.STARTUP
    assert {heartbeat.capture(slot).read().stage for slot in range(MAX_PIPELINES)} == {Stage.GONE}


def test_lanes_do_not_touch_each_other(heartbeat: Heartbeat) -> None:
    heartbeat.capture(3).enter(Stage.OPEN)
    assert heartbeat.capture(2).read().stage is heartbeat.capture(4).read().stage is Stage.GONE
    assert heartbeat.model().read().stage is Stage.STARTUP


@given(st.binary(min_size=16, max_size=16))
def test_garbage_reads_as_something_or_as_overdue(garbage: bytes) -> None:
    heartbeat = Heartbeat.create()
    try:
        os.pwrite(heartbeat.fd, garbage, 0)
        code, since = struct.unpack("dd", garbage)
        reading = heartbeat.model().read()
        if code in set(Stage) and math.isfinite(since):
            assert reading == Reading(Stage(int(code)), since)
        else:
            assert reading == Reading(Stage.IDLE, 0.0)
    finally:
        heartbeat.close()


def test_may_be_closed_twice() -> None:
    heartbeat = Heartbeat.create()
    heartbeat.close()
    heartbeat.close()
    assert heartbeat.fd == -1
