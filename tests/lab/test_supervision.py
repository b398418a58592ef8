"""A short run of each case about workers; the long ones are for the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import delegates
import pytest

LAB = Path(__file__).resolve().parent

pytestmark = pytest.mark.slow

NEEDS_TPU = pytest.mark.skipif(bool(delegates.missing_tools()), reason=delegates.missing_tools() or "none")


@pytest.mark.parametrize(
    "command",
    [
        ["kill_workers.py", "--rounds", "8", "--seed", "8"],
        ["restart_storm.py", "--respawns", "50"],
        ["clock_jumps.py", "--jumps", "4"],
        pytest.param(["mayhem.py", "--seconds", "5", "--seed", "2"], marks=NEEDS_TPU),
        pytest.param(["edgetpu.py", "abort invoke", "fail open"], marks=NEEDS_TPU),
    ],
    ids=lambda command: command[0].removesuffix(".py"),
)
def test_holds(command: list[str], testdata: Path) -> None:
    del testdata  # some of them need it
    answer = subprocess.run(
        [sys.executable, str(LAB / command[0]), *command[1:]],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer
    said = json.loads(answer.stdout.splitlines()[-1])
    assert said["ok"] is True
    assert said["case"] == command[0].removesuffix(".py")
