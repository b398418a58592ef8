"""A worker with an attacker in it tries to get out what it sees: how much of it leaves, in bits a second."""

from __future__ import annotations

import json
import math
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
from crew import DRIVERS
from integration.daemon import Daemon, wait_for

from edged.ipc.pace import pace
from edged.models import bundled
from edged.supervisor.pipeline_status import LINE_S, LINES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow
WATCHED_S = 12.0
EVENT_BITS = 130  # what docs/security.md says of an event; a unit test holds that number


def config(folder: Path, do: str, interval_s: float = 1.0) -> str:
    source = f"{{kind: lab, do: {do}, file: {folder / 'found'}, interval_s: {interval_s}}}"
    return (
        f"node: red\nstate_dir: {folder / 'state'}\nrun_dir: {folder / 'run'}\n"
        f"pipelines:\n  porch:\n    source: {source}\n    memory_mb: 2000\n"
    )


def events(daemon: Daemon) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (daemon.folder / "stdout").read_text("utf-8").splitlines()]


def attack(
    folder: Path, do: str, interval_s: float = 1.0
) -> tuple[dict[str, Any], list[dict[str, Any]], float]:
    """Let a worker do it; return the status, what left, and the time that it had."""
    (folder / "found").touch()
    known = {"PYTHONPATH": f"{DRIVERS}:{os.environ.get('PYTHONPATH', '')}"}
    with Daemon(folder, config(folder, do, interval_s), **known) as daemon:
        began = time.monotonic()
        wait_for(lambda: daemon.health()["pipelines"]["porch"]["restarts"] > 0, "a restart", 30)
        time.sleep(max(0.0, began + WATCHED_S - time.monotonic()))
        status = daemon.health()
        daemon.stop()
        return status, events(daemon), time.monotonic() - began


@pytest.mark.parametrize("interval_s", [1.0, 0.1])
def test_a_worker_streams_no_faster_than_the_pace_of_its_pipeline(tmp_path: Path, interval_s: float) -> None:
    status, left, took_s = attack(tmp_path, "stream", interval_s)
    bound = pace(interval_s)
    assert 0 < len(left) <= bound.burst + bound.per_second * took_s
    assert "events a second); starting it again" in log(tmp_path)
    # What the attacker smuggled is in the labels and the scores, where a receiver finds it.
    classes = len(bundled.LABELS.read_text("utf-8").splitlines())
    smuggled = math.log2(classes) + math.log2(1000)
    assert smuggled < EVENT_BITS
    per_second = len(left) * smuggled / took_s
    assert per_second <= EVENT_BITS * (bound.per_second + bound.burst / took_s)
    print(f"interval_s {interval_s}: {len(left)} events, {per_second:.0f} bit/s, restarts {restarts(status)}")


@pytest.mark.parametrize(
    ("do", "why"),
    [("invent", "a label that its model does not have"), ("results", "results, which nobody asked for")],
)
def test_nothing_else_leaves_at_all(tmp_path: Path, do: str, why: str) -> None:
    status, left, _ = attack(tmp_path, do)
    assert restarts(status) > 0
    assert why in log(tmp_path)
    assert {event["type"] for event in left} <= {"start", "change", "end"}
    assert all("row" not in json.dumps(event) for event in left)


def test_a_worker_that_shouts_fills_neither_the_log_nor_what_others_see(tmp_path: Path) -> None:
    status, _, took_s = attack(tmp_path, "shout")
    assert restarts(status) > 0
    assert "changes of its state a second" in log(tmp_path)
    assert log(tmp_path).count("of the porch: ") <= LINES + took_s / LINE_S


def log(folder: Path) -> str:
    return (folder / "stderr").read_text("utf-8")


def restarts(status: dict[str, Any]) -> int:
    return int(status["pipelines"]["porch"]["restarts"])
