"""An attacker's code in a worker finds no way out, whoever runs edged, with and without Landlock."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edged.system import namespaces

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        namespaces.bubblewrap() is None, reason="bubblewrap is not installed, or may make no namespaces here"
    ),
]
NOT_A_WALL = (  # what no control can take away: seals, an empty environment, a multi-threaded process, init
    "M1 shrink what it shares with main",
    "M1 write what sensors read",
    "H4 main's environment",
    "M9 ",
    "C2 raw packets",
    "C2 memory of first",
    "H4 environment of first",
    "L11 ",
)


def walls(*options: str) -> dict[str, Any]:
    """Return the verdict of the laboratory's case."""
    done = subprocess.run(
        [sys.executable, "-B", str(ROOT / "tests" / "lab" / "walls.py"), *options],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert lines, done.stderr
    found = json.loads(lines[-1])
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("landlock", [[], ["--no-landlock"]], ids=["this kernel", "no Landlock"])
@pytest.mark.parametrize("user", [[], ["--nobody"]], ids=["this user", "nobody"])
def test_nothing_that_code_in_a_worker_tries_succeeds(user: list[str], landlock: list[str]) -> None:
    if user and os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    found = walls(*user, *landlock)
    assert found["succeeded"] == []
    assert found["arrived"] == 0
    assert {"seccomp", "netns", "mountns", "pidns"} <= set(found["walls"].split("+"))
    assert ("landlock" in found["walls"]) <= (not landlock)


def test_without_walls_the_same_code_gets_out() -> None:
    """Otherwise the test above would show nothing."""
    if os.geteuid() != 0:
        pytest.skip("what the walls of the machine leave open is known for root")
    found = walls("--control")
    assert found["walls"] == ""
    assert found["arrived"] >= 5
    refused = found["refused_all_the_same"]
    assert all(text.startswith(NOT_A_WALL) for text in refused), refused
