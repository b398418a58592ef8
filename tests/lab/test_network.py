"""A short run of the case about networks and brokers; the long one is for the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).resolve().parent


@pytest.mark.mosquitto
@pytest.mark.slow
def test_nothing_is_missing() -> None:
    answer = subprocess.run(
        [sys.executable, str(LAB / "network.py"), "--faults", "5", "--seed", "5"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0, answer
    said = json.loads(answer.stdout.splitlines()[-1])
    assert (said["case"], said["ok"], said["missing"]) == ("network", True, 0)
