"""A short run of each case that the laboratory has for the spool; the long ones are run by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).parent
LIMIT_S = 240

pytestmark = pytest.mark.slow


def run(case: str, *arguments: str) -> list[dict[str, Any]]:
    """Run a case and return its verdicts."""
    command = [sys.executable, str(LAB / case), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    verdicts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert verdicts, done.stderr
    assert (done.returncode == 0) == all(verdict["ok"] for verdict in verdicts)
    return verdicts


def test_a_power_cut_takes_nothing_that_was_accepted() -> None:
    (verdict,) = run("power_cut.py", "--cuts", "400")
    assert verdict["ok"], verdict
    assert (verdict["cuts"], verdict["lost"]) == (400, 0)
    assert verdict["accepted"] > 400


def test_the_power_cuts_would_show_what_is_not_flushed() -> None:
    (verdict,) = run("power_cut.py", "--cuts", "400", "--synchronous", "NORMAL")
    assert not verdict["ok"]
    assert verdict["lost"] > 0


def test_it_starts_whatever_is_damaged() -> None:
    (verdict,) = run("damage.py", "--cases", "30", "--rows", "3000")
    assert verdict["ok"], verdict
    assert verdict["longest_s"] <= 10


def test_a_kill_takes_nothing_that_was_accepted() -> None:
    (verdict,) = run("kill_spool.py", "--kills", "15")
    assert verdict["ok"], verdict
    assert verdict["lost"] == 0
    assert verdict["accepted"] > 15


@pytest.mark.parametrize("case", ["full", "readonly-start", "readonly", "shutdown"])
def test_a_disk_that_goes_away_stops_nothing(case: str) -> None:
    (verdict,) = run("disk_away.py", case)
    if "skipped" in verdict:
        pytest.skip(verdict["skipped"])
    assert verdict["ok"], verdict
