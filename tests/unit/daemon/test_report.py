"""When health is told."""

from __future__ import annotations

import itertools
import json
import logging
from typing import TYPE_CHECKING, Any

from edged.daemon import health
from edged.daemon.report import FILE_S, NEWS_S, HealthSchedule
from edged.daemon.status_file import NAME
from edged.spool import Counts
from edged.testing.supervisor import status

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def message(uptime_s: float = 0.0, **changes: Any) -> dict[str, Any]:
    return health.message(
        health.Snapshot(
            node="n",
            uptime_s=uptime_s,
            at=1769860800.0,
            synced=True,
            pipelines={"porch": status(**changes)},
            counts=Counts(0, 0, 0, {}),
            broker=health.Broker("none", ""),
        )
    )


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_first_is_told_then_each_interval(tmp_path: Path) -> None:
    clock, told = Clock(), []
    report = HealthSchedule(tmp_path, clock)
    for half_second in range(200):
        clock.now = 1000.0 + half_second / 2
        if report.is_due(message(half_second), 30):
            told.append(half_second / 2)
    assert told == [0, 30, 60, 90]


def test_news_is_told_soon_and_not_more_often_than_once_a_second(tmp_path: Path) -> None:
    clock, told = Clock(), []
    report = HealthSchedule(tmp_path, clock)
    for tenth in range(50):
        clock.now = 1000.0 + tenth / 10
        if report.is_due(message(restarts=tenth // 3), 30):
            told.append(tenth / 10)
    assert told[0] == 0
    assert all(later - earlier >= NEWS_S for earlier, later in itertools.pairwise(told))
    assert len(told) == 5


def test_the_file_follows_the_figures(tmp_path: Path) -> None:
    clock = Clock()
    report = HealthSchedule(tmp_path, clock)
    seen = []
    for half_second in range(20):
        clock.now = 1000.0 + half_second / 2
        report.is_due(message(half_second), 30)
        seen.append(json.loads((tmp_path / NAME).read_text())["uptime_s"])
    assert sorted(set(seen)) == list(range(0, 20, int(2 * FILE_S)))
    report.close()
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_cannot_be_written_keeps_nothing_from_being_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "run").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert HealthSchedule(tmp_path / "run", Clock()).is_due(message(), 30)
    assert "edged status" in caplog.text
