from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from edged.tools.doctor.checks import service

if TYPE_CHECKING:
    from pathlib import Path

# What `systemctl show` prints of a service in good order.
RUNS = """WatchdogUSec=30s
NRestarts=0
User=edged
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
Result=success
"""


def systemctl(folder: Path, script: str) -> str:
    program = folder / "systemctl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    (folder / "run/systemd/system").mkdir(parents=True)
    return str(program)


def judged(**changes: str) -> tuple[str, str, str]:
    unit = dict(line.split("=", 1) for line in RUNS.splitlines()) | changes
    return tuple(service.examine(unit))


def test_asks_systemd(tmp_path: Path) -> None:
    program = systemctl(tmp_path, f'[ "$1 $2" = "show edged.service" ] || exit 1\ncat <<E\n{RUNS}E')
    unit = service.ask(tmp_path, program)
    assert unit is not None
    assert service.user(unit) == "edged"
    assert service.examine(unit).status == "ok"
    assert "watchdog 30s" in service.examine(unit).detail


@pytest.mark.parametrize("script", ["exit 1", "echo Failed to connect to bus >&2; exit 1"])
def test_a_systemd_that_does_not_answer_is_skipped(tmp_path: Path, script: str) -> None:
    assert service.ask(tmp_path, systemctl(tmp_path, script)) is None
    assert service.examine(None).status == "skipped"


def test_a_systemd_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ANSWER_S", 0.2)
    began = time.monotonic()
    assert service.ask(tmp_path, systemctl(tmp_path, "exec sleep 60")) is None
    assert time.monotonic() - began < 5


def test_without_systemd_nobody_is_asked(tmp_path: Path) -> None:
    assert service.ask(tmp_path, str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"LoadState": "not-found"}, "absent", "deploy/README.md"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "warning", "enable --now edged.service"),
        ({"ActiveState": "failed", "Result": "exit-code"}, "error", "journalctl -u edged.service"),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, "error", "journalctl"),
        ({"UnitFileState": "disabled"}, "warning", "systemctl enable edged.service"),
        ({"WatchdogUSec": "0"}, "warning", "WatchdogSec=30"),
    ],
)
def test_what_is_not_in_order_comes_with_the_command_that_mends_it(
    changes: dict[str, str], status: str, words: str
) -> None:
    found, _detail, fix = judged(**changes)
    assert found == status
    assert words in fix


def test_a_service_that_restarts_says_how_often() -> None:
    assert "restarted 7 times" in judged(NRestarts="7")[1]


def test_the_user_is_the_one_that_the_unit_names() -> None:
    assert service.user({"LoadState": "loaded", "User": "porch"}) == "porch"
    assert service.user({"LoadState": "not-found", "User": "porch"}) in ("", "edged")
