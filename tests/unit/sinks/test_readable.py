"""Events and readings as a person reads them on a terminal."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sinks.readable import Readable, sentence

EVENT = {
    "type": "start",
    "pipeline": "porch",
    "label": "Egyptian cat",
    "score": 0.7734,
    "previous": "unknown",
    "ts": "2026-01-31T12:00:00.000Z",
    "replayed": False,
}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "porch      Egyptian cat 0.77  (was unknown)"),
        ({"type": "end", "label": "unknown", "previous": "cat"}, "porch      unknown  (was cat)"),
        ({"type": "heartbeat"}, "porch      still Egyptian cat 0.77"),
        ({"type": "result"}, "porch      seen: Egyptian cat 0.77"),
        ({"replayed": True}, "porch      Egyptian cat 0.77  (was unknown)  (from the queue)"),
        ({"label": "a\x1b[2J\nb"}, "porch      a?[2J?b 0.77  (was unknown)"),
        ({"label": "person", "count": 1}, "porch      person 0.77"),
        ({"label": "person", "count": 2, "zone": "door"}, "porch      person (door) 0.77, 2 of them"),
        (
            {"type": "end", "label": "unknown", "previous": "person", "count": 0, "zone": "door"},
            "porch      person (door) is gone",
        ),
        (
            {"label": "bird", "count": 2, "then": [{"label": "goldfinch", "score": 0.8}] * 2},
            "porch      bird 0.77, 2 of them: goldfinch 0.80, goldfinch 0.80",
        ),
        ({"type": "heartbeat", "label": "unknown", "count": 0}, "porch      still unknown"),
        ({"type": "result", "label": "person", "count": 3}, "porch      seen: person 0.77, 3 of them"),
        ({"pipeline": "x" * 32}, f"{'x' * 32}  Egyptian cat 0.77  (was unknown)"),
    ],
)
def test_an_event_is_a_line(changes: dict[str, Any], expected: str) -> None:
    line = sentence(EVENT | changes)
    assert re.match(r"\d\d:\d\d:\d\d  ", line)
    assert line[10:] == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"sensor": "attic", "value": 21.5, "unit": "°C", "quality": "good"}, "attic      21.5 °C"),
        (
            {"sensor": "air", "channel": "pm2_5", "value": 4.0, "unit": "µg/m³", "quality": "stale"},
            "air/pm2_5  4 µg/m³ (stale)",
        ),
        ({"sensor": "door", "value": True, "unit": "", "quality": "good"}, "door       true"),
        ({"sensor": "door", "value": None, "unit": "°C", "quality": "bad"}, "door       none °C (bad)"),
    ],
)
def test_a_reading_is_a_line(data: dict[str, Any], expected: str) -> None:
    assert sentence({"type": "reading", "ts": "?"} | data) == f"--:--:--  {expected}"


def test_what_the_queue_lost_is_a_line() -> None:
    gap = {"type": "gap", "count": 3, "reason": "full", "ts": ""}
    assert sentence(gap).endswith("edged      3 events were dropped: full")
    reset = {"type": "spool_reset", "reason": "file is not a database", "ts": ""}
    assert sentence(reset).endswith("the queue was damaged and begins anew: file is not a database")


@given(st.text(), st.text(), st.floats(0, 1))
def test_whatever_a_label_holds_it_is_one_printable_line(label: str, previous: str, score: float) -> None:
    line = sentence(EVENT | {"label": label, "previous": previous, "score": score})
    assert line.splitlines() == [line]
    assert "\x1b" not in line


class Lines:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.closed = False

    def send(self, event: bytes) -> None:
        self.lines.append(event)

    def close(self) -> None:
        self.closed = True


def test_it_writes_to_what_it_was_given() -> None:
    lines = Lines()
    readable = Readable(lines)
    readable.send(json.dumps(EVENT).encode())
    readable.close()
    assert b"Egyptian cat 0.77" in lines.lines[0]
    assert lines.closed
