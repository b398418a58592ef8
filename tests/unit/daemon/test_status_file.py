"""The status file, written whole and judged by its reader, and when health is published."""

from __future__ import annotations

import itertools
import json
import logging
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from edged.daemon import health, status_file
from edged.daemon.status_file import FILE_S, NAME, NEWS_S, HealthSchedule, StatusFile, read
from edged.spool import Counts
from edged.testing.supervisor import status

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_gets_what_was_written(tmp_path: Path) -> None:
    StatusFile(tmp_path / "run" / "edged").write({"status": "ok"})
    found = read(tmp_path / "run" / "edged")
    assert found.trouble == ""
    assert found.data["status"] == "ok"
    assert found.data["pid"] == os.getpid()
    assert [p.name for p in (tmp_path / "run" / "edged").iterdir()] == [NAME]
    assert (tmp_path / "run" / "edged" / NAME).stat().st_mode & 0o777 == 0o640, "not for everybody"


def test_without_a_file_no_daemon_runs(tmp_path: Path) -> None:
    assert "no daemon is running" in read(tmp_path).trouble


def test_after_a_clean_stop_no_daemon_runs(tmp_path: Path) -> None:
    file = StatusFile(tmp_path)
    file.write({})
    file.remove()
    file.remove()
    assert "no daemon is running" in read(tmp_path).trouble


def test_a_daemon_that_was_killed_is_not_running(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / NAME).write_text(json.dumps({"pid": gone.pid, "monotonic": time.monotonic()}))
    found = read(tmp_path)
    assert found.trouble == f"no daemon is running: it died (process {gone.pid}), see journalctl -u edged"
    assert found.data["pid"] == gone.pid


def test_a_daemon_that_hangs_does_not_answer(tmp_path: Path) -> None:
    StatusFile(tmp_path).write({})
    found = read(tmp_path, now=time.monotonic() + status_file.STALE_S + 27)
    assert found.trouble == f"the daemon (process {os.getpid()}) has not answered for 42 s"


def test_a_file_of_an_earlier_boot_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"pid": os.getpid(), "monotonic": time.monotonic() + 1e6}))
    assert "no daemon is running" in read(tmp_path).trouble


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "{}", '{"pid": "x", "monotonic": 1}', '{"pid": 1, "monotonic": null}']
)
def test_any_other_file_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read(tmp_path).trouble.endswith("is not a status file of edged")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OSError, match="run"):
        StatusFile(tmp_path / "run").write({})


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


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    if kind == "pipe":
        os.mkfifo(tmp_path / NAME)
    else:
        (tmp_path / NAME).symlink_to("/dev/zero")
    assert "is not a status file" in read(tmp_path).trouble
