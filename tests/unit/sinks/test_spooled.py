"""Lines of what the spool has: in order, nothing twice, and what is not taken waits."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from edged.sinks.drivers.jsonl import JsonlSink
from edged.sinks.spooled import AT_ONCE, LONGEST_S, SHORTEST_S, SpooledSink
from edged.spool.memory import MemorySpool
from unit.sinks.events import event

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


class Bench:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.later = Later()
        self.spool = MemorySpool("n", max_mb=8, max_age_h=1)
        self.lines = SpooledSink(JsonlSink(str(path)), self.spool, self.later)

    def happen(self) -> None:
        self.spool.accept(event())
        self.lines.drain()

    def written(self) -> list[int]:
        if not self.path.exists():
            return []
        return [int(json.loads(line)["id"].split("/")[2]) for line in self.path.read_text().splitlines()]


def test_events_are_written_at_once_and_in_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "e.jsonl")
    bench.lines.open()
    for _ in range(3):
        bench.happen()
    assert bench.written() == [1, 2, 3]
    assert bench.spool.counts().acknowledged == 3
    assert bench.lines.state == "none"
    assert not bench.later.calls


def test_what_is_not_taken_waits_and_is_tried_again_later_and_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "folder" / "e.jsonl")
    for _ in range(5):
        bench.happen()
    assert bench.lines.state == "not written"
    assert "No such file" in bench.lines.detail
    assert bench.spool.counts().queued == 5
    waits = [bench.later.run() for _ in range(8)]
    assert waits[:3] == [SHORTEST_S, 2 * SHORTEST_S, 4 * SHORTEST_S]
    assert waits[-1] == LONGEST_S
    (tmp_path / "folder").mkdir()
    bench.later.run()
    assert bench.written() == [1, 2, 3, 4, 5]
    assert bench.spool.counts().acknowledged == 5
    assert bench.lines.state == "none"
    bench.happen()
    assert bench.written()[-1] == 6


def test_many_are_written_in_portions(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "folder" / "e.jsonl")
    for _ in range(3 * AT_ONCE):
        bench.happen()
    (tmp_path / "folder").mkdir()
    bench.later.run()
    assert len(bench.written()) == AT_ONCE
    while bench.later.calls:
        bench.later.run()
    assert bench.written() == list(range(1, 3 * AT_ONCE + 1))


def test_a_result_is_written_or_dropped(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "folder" / "e.jsonl")
    bench.lines.result("porch", b'{"type":"result"}')
    assert bench.lines.state == "not written"
    (tmp_path / "folder").mkdir()
    bench.lines.result("porch", b'{"type":"result"}')  # not while the trouble lasts
    assert not bench.path.exists()
    bench.happen()
    bench.lines.result("porch", b'{"type":"result"}')
    assert len(bench.path.read_text().splitlines()) == 2


def test_a_reading_is_written_or_dropped(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "folder" / "e.jsonl")
    bench.lines.reading(b'{"type":"reading"}')
    assert bench.lines.state == "not written"
    (tmp_path / "folder").mkdir()
    bench.lines.reading(b'{"type":"reading"}')
    bench.happen()
    bench.lines.reading(b'{"type":"reading"}')
    assert [json.loads(line)["type"] for line in bench.path.read_text().splitlines()] == ["start", "reading"]


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "e.jsonl")
    for _ in range(AT_ONCE + 1):
        bench.spool.accept(event())
    bench.lines.close(1.0)
    assert len(bench.written()) == AT_ONCE + 1


def test_closing_where_nobody_reads_keeps_what_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    bench = Bench(tmp_path / "fifo")
    bench.happen()
    bench.lines.close(1.0)
    assert bench.later.calls[0][2].cancelled
    assert bench.spool.counts().queued == 1


def test_a_retained_value_has_no_line(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "e.jsonl")
    bench.lines.open()
    bench.lines.retain("porch/state", "{}")
    bench.lines.check()
    assert bench.written() == []
    assert bench.lines.state == "none"
