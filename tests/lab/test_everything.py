"""A short run of each case with a whole installation: broker, daemon, subscriber; the long ones by hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LAB = Path(__file__).resolve().parent

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]


def said(case: str, *arguments: str, holds: bool = True) -> dict[str, Any]:
    """Run a case and return its verdict; ``holds``: it is that of the long run, too."""
    answer = subprocess.run(
        [sys.executable, str(LAB / f"{case}.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert answer.returncode == 0 or not holds, answer.stdout + answer.stderr
    verdict: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    assert verdict["case"] == case
    return verdict


def test_kills_take_nothing_that_was_accepted() -> None:
    verdict = said("kill_everything", "--kills", "10", "--seed", "3")
    assert (verdict["kills"], verdict["missing"], verdict["dropped"]) == (10, 0, 0)
    assert verdict["heard"] == verdict["accepted"] > 10


def test_a_broker_that_is_back_soon_has_an_event() -> None:
    verdict = said("outages", "--outages", "3", "--nodes", "2")
    assert verdict["back_to_first_s"]["3 s"]["n"] == 2
    assert verdict["p95_s"] <= 5


def test_memory_is_flat_while_the_broker_is_away() -> None:
    # Flat out and for a few seconds only: the warm-up is short, and what a busy disk cannot take is dropped.
    verdict = said("broker_away", "--events", "5000", holds=False)
    told = verdict["heard"] + verdict["dropped"] + verdict["queued"]
    assert told == verdict["accepted"] >= 5000
    assert verdict["missing"] == 0
    assert verdict["queued"] <= 1  # the record of what was dropped last, written while the node stops
    assert verdict["main_grown_mb"] <= 10


def test_a_fault_that_stays_does_not_fill_the_log() -> None:
    verdict = said("log_volume", "--seconds", "10")
    assert verdict["bytes"] > 0
    assert verdict["scaled_to_an_hour_mb"] <= 1


def test_others_go_through_the_same() -> None:
    verdict = said("peers", "--kills", "2", "--outage", "3", "--seed", "4")
    assert verdict["edged"]["missing"] == 0
    for peer in ("edged", "paho", "bridge", "bridge-saved"):
        assert 0 < verdict[peer]["heard"] <= verdict[peer]["accepted"]


def test_a_fleet_is_read_in_full() -> None:
    verdict = said("fleet_reading", "--nodes", "20", "--kind", "mosquitto", holds=False)
    assert verdict["listed"] == [20]
    assert verdict["read_mb"] <= 120
