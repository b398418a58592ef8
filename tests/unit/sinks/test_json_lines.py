"""JSON lines as the outlet: in order, nothing twice, and what is not taken waits."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from edged.daemon.publisher import EventMaker
from edged.sinks import TakesLines
from edged.sinks.json_lines import AT_ONCE, LONGEST_S, SHORTEST_S, Lines
from edged.sinks.jsonl import JsonlSink
from edged.spool.memory import MemorySpool
from edged.testing.supervisor import outcome, status

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Later:
    """The loop's ``call_later``, by hand."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, Callable[[], None], Later.Handle]] = []

    class Handle:
        cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    def __call__(self, delay_s: float, call: Callable[[], None]) -> Handle:
        handle = Later.Handle()
        self.calls.append((delay_s, call, handle))
        return handle

    def run(self) -> float:
        delay_s, call, handle = self.calls.pop(0)
        if not handle.cancelled:
            call()
        return delay_s


class House:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.later = Later()
        self.spool = MemorySpool("n", max_mb=8, max_age_h=1)
        self.lines = Lines(JsonlSink(str(path)), self.spool, self.later)

    def happen(self) -> None:
        self.spool.accept(EventMaker("n", synced=lambda: True).event(outcome(), status(), kind="v4l2"))
        self.lines.drain()

    def written(self) -> list[int]:
        if not self.path.exists():
            return []
        return [int(json.loads(line)["id"].split("/")[2]) for line in self.path.read_text().splitlines()]


def test_events_are_written_at_once_and_in_order(tmp_path: Path) -> None:
    house = House(tmp_path / "e.jsonl")
    house.lines.open()
    for _ in range(3):
        house.happen()
    assert house.written() == [1, 2, 3]
    assert house.spool.counts().acknowledged == 3
    assert house.lines.state == "none"
    assert not house.later.calls


def test_what_is_not_taken_waits_and_is_tried_again_later_and_later(tmp_path: Path) -> None:
    house = House(tmp_path / "folder" / "e.jsonl")
    for _ in range(5):
        house.happen()
    assert house.lines.state == "not written"
    assert "No such file" in house.lines.detail
    assert house.spool.counts().queued == 5
    waits = [house.later.run() for _ in range(8)]
    assert waits[:3] == [SHORTEST_S, 2 * SHORTEST_S, 4 * SHORTEST_S]
    assert waits[-1] == LONGEST_S
    (tmp_path / "folder").mkdir()
    house.later.run()
    assert house.written() == [1, 2, 3, 4, 5]
    assert house.spool.counts().acknowledged == 5
    assert house.lines.state == "none"
    house.happen()
    assert house.written()[-1] == 6


def test_many_are_written_in_portions(tmp_path: Path) -> None:
    house = House(tmp_path / "folder" / "e.jsonl")
    for _ in range(3 * AT_ONCE):
        house.happen()
    (tmp_path / "folder").mkdir()
    house.later.run()
    assert len(house.written()) == AT_ONCE
    while house.later.calls:
        house.later.run()
    assert house.written() == list(range(1, 3 * AT_ONCE + 1))


def test_a_result_is_written_or_dropped(tmp_path: Path) -> None:
    house = House(tmp_path / "folder" / "e.jsonl")
    house.lines.result("porch", b'{"type":"result"}')
    assert house.lines.state == "not written"
    (tmp_path / "folder").mkdir()
    house.lines.result("porch", b'{"type":"result"}')  # not while the trouble lasts
    assert not house.path.exists()
    house.happen()
    house.lines.result("porch", b'{"type":"result"}')
    assert len(house.path.read_text().splitlines()) == 2


def test_a_reading_is_written_or_dropped(tmp_path: Path) -> None:
    house = House(tmp_path / "folder" / "e.jsonl")
    assert isinstance(house.lines, TakesLines)
    house.lines.reading(b'{"type":"reading"}')
    assert house.lines.state == "not written"
    (tmp_path / "folder").mkdir()
    house.lines.reading(b'{"type":"reading"}')
    house.happen()
    house.lines.reading(b'{"type":"reading"}')
    assert [json.loads(line)["type"] for line in house.path.read_text().splitlines()] == ["start", "reading"]


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    house = House(tmp_path / "e.jsonl")
    for _ in range(AT_ONCE + 1):
        house.spool.accept(EventMaker("n").event(outcome(), status(), kind="v4l2"))
    house.lines.close(1.0)
    assert len(house.written()) == AT_ONCE + 1


def test_closing_where_nobody_reads_keeps_what_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    house = House(tmp_path / "fifo")
    house.happen()
    house.lines.close(1.0)
    assert house.later.calls[0][2].cancelled
    assert house.spool.counts().queued == 1
    house.lines.retain("porch/state", "{}")  # there are no topics
