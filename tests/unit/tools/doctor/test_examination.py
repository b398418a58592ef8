"""The whole, with real workers and whatever this machine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.tools.doctor import Check, examine
from edged.tools.doctor.checks import board, software
from unit.tools.doctor.doubles import GOOD

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

NAMES = [
    *("python", "runtime", "cpu-inference", "isolation", "edgetpu", "accelerator", "cameras"),
    *(
        "microphones",
        "drivers",
        "serial-ports",
        "sensors",
        "configuration",
        "broker",
        "state-dir",
        "clock",
        "service",
        "board",
        "memory",
    ),
]


def examined(path: Path, *, given: bool = True) -> dict[str, Check]:
    began: list[str] = []
    told: list[Check] = []
    checks = examine(path, given=given, begin=began.append, tell=told.append)
    assert began == [check.name for check in checks] == NAMES
    assert told == checks
    return {check.name: check for check in checks}


def test_every_check_is_made_and_one_that_has_a_defect_or_hangs_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hangs() -> None:
        raise TimeoutError

    monkeypatch.setattr(software, "python", lambda: 1 // 0)
    monkeypatch.setattr(board, "clock_synced", hangs)
    found = examined(tmp_path / "none.yaml", given=False)
    assert found["python"].status == found["clock"].status == "error"
    assert "ZeroDivisionError" in found["python"].detail
    assert "report it" in found["python"].fix
    assert found["cpu-inference"].status == "ok"
    for name in ("drivers", "configuration", "broker", "state-dir"):
        assert found[name].status == "skipped"
        assert "there is no configuration" in found[name].detail


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    found = examined(tmp_path / "none.yaml")
    assert found["configuration"].status == "error"
    assert "there is no such file" in found["configuration"].detail
    assert found["broker"].status == "skipped"


def test_a_good_configuration(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(f"state_dir: {tmp_path}/state\nrun_dir: {tmp_path}/run\n{GOOD}")
    found = examined(path)
    assert (found["configuration"].status, found["drivers"].status) == ("ok", "ok")
    assert found["broker"].detail == "the configuration names no broker: events go to standard output"
