from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest

from edged.sensors.drivers import system
from edged.tools.doctor.checks import board
from unit.tools.doctor.doubles import GOOD, subject

if TYPE_CHECKING:
    from pathlib import Path

    from edged.tools.doctor.verdict import Verdict


def write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def pi(root: Path, monkeypatch: pytest.MonkeyPatch, *, flags: int = 0, heat: float = 48.3) -> Verdict:
    def firmware(_fd: int, _request: int, message: bytearray) -> int:
        struct.pack_into("=I", message, 20, flags)
        return 0

    write(root, "proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
    write(root, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    write(root, "sys/class/thermal/thermal_zone0/temp", f"{heat * 1000:.0f}\n")
    write(root, "dev/vcio", "")
    monkeypatch.setattr(system, "_ioctl", firmware)
    return board.board(root)


def test_a_pi_in_good_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pi(tmp_path, monkeypatch)
    assert found.status == "ok"
    assert "Raspberry Pi 4 Model B Rev 1.4, " in found.detail
    assert "48 °C; supply in order" in found.detail


def test_a_bad_supply_and_a_throttled_processor_are_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pi(tmp_path, monkeypatch, flags=0x5)
    assert found.status == "warning"
    assert "undervoltage now; throttled now" in found.detail
    assert "power supply" in found.fix


def test_a_hot_board_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = pi(tmp_path, monkeypatch, heat=82)
    assert (found.status, "82 °C" in found.detail) == ("warning", True)


def test_a_board_that_says_nothing_is_no_fault(tmp_path: Path) -> None:
    assert board.board(tmp_path).status == "ok"


@pytest.mark.parametrize(
    ("total_kib", "free_kib", "running", "status"),
    [
        (4_000_000, 3_000_000, False, "ok"),
        (512_000, 60_000, False, "warning"),
        (512_000, 60_000, True, "ok"),
        (128_000, 100_000, False, "error"),
    ],
)
def test_memory(tmp_path: Path, total_kib: int, free_kib: int, running: bool, status: str) -> None:
    write(tmp_path, "proc/meminfo", f"MemTotal: {total_kib} kB\nMemAvailable: {free_kib} kB\n")
    for config in (None, subject(GOOD).config):
        assert board.memory(tmp_path, config, running=running).status == status


def test_a_clock() -> None:
    assert board.clock_synced(synced=True).status == "ok"
    found = board.clock_synced(synced=False)
    assert (found.status, "set-ntp" in found.fix) == ("warning", True)
