"""What the log of decisions tells: how long each held, whatever happened to edged meanwhile."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.daemon.decision_log import NAME, OLDER
from edged.errors import Refused
from edged.tools import decisions

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = datetime(2026, 1, 31, 22, 0, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=1)


def line(seconds: float, kind: str, label: str = "unknown", previous: str = "unknown", **more: Any) -> Any:
    ts = (BEGIN + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    decided = {"pipeline": "porch", "label": label, "previous": previous, "score": 0.5}
    return {"ts": ts, "type": kind, **(decided if kind in ("start", "change", "end") else {}), **more}


def told(*lines: Any) -> list[tuple[str, float | None, bool]]:
    return [(row.what, row.lasted_s, row.lasts) for row in decisions.rows(lines, now=NOW)]


def test_a_decision_holds_until_the_next_one_of_its_pipeline() -> None:
    assert told(
        line(0, "start", "cat"),
        line(5, "start", "car", pipeline="yard"),
        line(60, "change", "dog", "cat"),
        line(90, "end", "unknown", "dog"),
    ) == [("cat", 60, False), ("car", 3595, True), ("dog", 30, False)]


def test_nobody_knows_how_long_it_held_where_edged_was_killed() -> None:
    assert told(line(0, "start", "cat"), line(60, "started"), line(61, "start", "cat")) == [
        ("cat", None, False),
        ("edged started", None, False),
        ("cat", 3539, True),
    ]


def test_it_holds_until_edged_stops_or_its_pipeline_is_switched_off() -> None:
    assert told(
        line(0, "start", "cat"),
        line(1, "start", "car", pipeline="yard"),
        line(10, "off", pipeline="porch"),
        line(20, "stopped"),
    ) == [
        ("cat", 10, False),
        ("car", 19, False),
        ("switched off", None, False),
        ("edged stopped", None, False),
    ]


def test_a_clock_that_went_back_gives_no_negative_time() -> None:
    assert told(line(50, "start", "cat"), line(0, "end", previous="cat"))[0] == ("cat", 0, False)


LOCAL = datetime(2026, 2, 1, 0, 15, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22:00", datetime(2026, 1, 31, 22, tzinfo=LOCAL.tzinfo)),
        ("00:10:05", datetime(2026, 2, 1, 0, 10, 5, tzinfo=LOCAL.tzinfo)),
        ("0:15", LOCAL),
        ("0:16", datetime(2026, 1, 31, 0, 16, tzinfo=LOCAL.tzinfo)),
        ("2h", LOCAL - timedelta(hours=2)),
        ("90s", LOCAL - timedelta(seconds=90)),
        ("30 min", LOCAL - timedelta(minutes=30)),
        ("30m", LOCAL - timedelta(minutes=30)),
        ("7d", LOCAL - timedelta(days=7)),
        ("2026-01-30", datetime(2026, 1, 30, tzinfo=LOCAL.tzinfo)),
        ("2026-01-30 12:00", datetime(2026, 1, 30, 12, tzinfo=LOCAL.tzinfo)),
        ("2026-01-30T12:00", datetime(2026, 1, 30, 12, tzinfo=LOCAL.tzinfo)),
    ],
)
def test_since_is_read_as_people_mean_it(text: str, expected: datetime) -> None:
    assert decisions.since(text, LOCAL) == expected


@pytest.mark.parametrize("text", ["", "25:00", "2 weeks", "yesterday", "2026-13-01", "-1h", "9999999h"])
def test_another_since_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="write a time"):
        decisions.since(text, NOW)


def test_both_files_are_read_and_damage_is_left_out(tmp_path: Path) -> None:
    (tmp_path / OLDER).write_text(json.dumps(line(0, "start", "cat")) + "\n\x00\x00{\n7\n")
    bad = [
        {"ts": 7, "type": "start"},
        {"ts": "x", "type": "started"},
        line(0, "off", pipeline=7),
        line(0, "start", label=7),
        line(0, "start", score="x"),
        line(0, "other"),
    ]
    good = [line(1, "lost", count=3), line(2, "end", previous="cat")]
    (tmp_path / NAME).write_text("".join(json.dumps(each) + "\n" for each in [*bad, *good]) + '{"ts":"2')
    assert [each["type"] for each in decisions.read(tmp_path)] == ["start", "lost", "end"]


def test_a_missing_log_says_why(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="did not run with this state_dir"):
        decisions.read(tmp_path)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["start", "change", "end", "started", "stopped", "on", "off", "lost"]),
            st.sampled_from(["cat", "dog", "unknown"]),
            st.sampled_from(["cat", "dog", "unknown"]),
            st.floats(0, 3000),
        ),
        max_size=20,
    )
)
def test_any_sequence_gives_a_row_each(made: list[tuple[str, str, str, float]]) -> None:
    lines = [
        line(seconds, kind, label, previous)
        if kind in ("start", "change", "end")
        else line(seconds, kind, pipeline="porch")
        for kind, label, previous, seconds in made
    ]
    found = decisions.rows(lines, now=NOW)
    wanted = [
        kind
        for kind, label, *_ in made
        if kind != "end" and (kind not in ("start", "change") or label != "unknown")
    ]
    assert len(found) == len(wanted)
    assert sum(row.lasts for row in found) <= len(found)
    assert all(row.lasted_s is None or row.lasted_s >= 0 for row in found)


def test_labels_that_are_there_together_hold_each_by_itself_and_in_its_zone() -> None:
    lines = (
        line(0, "start", "cat", count=1, zone="door"),
        line(5, "start", "dog", count=1, zone="door"),
        line(10, "start", "cat", count=1, zone="yard"),
        line(20, "change", "dog", "dog", count=2, zone="door"),
        line(30, "end", "unknown", "cat", count=0, zone="door"),
    )
    assert told(*lines) == [
        ("cat (door)", 30, False),
        ("dog (door)", 15, False),
        ("cat (yard)", 3590, True),
        ("dog (door)", 3580, True),
    ]
    assert [row.count for row in decisions.rows(lines, now=NOW)] == [1, 1, 1, 2]
