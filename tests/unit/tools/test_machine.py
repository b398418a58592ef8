from __future__ import annotations

import json
import platform
import socket
from typing import TYPE_CHECKING

from edged.tools import machine

if TYPE_CHECKING:
    from pathlib import Path


def test_a_board_is_described_by_its_device_tree(tmp_path: Path) -> None:
    for path, text in {
        "sys/firmware/devicetree/base/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "sys/class/dmi/id/product_name": "another\n",
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
        "proc/meminfo": "MemTotal:        3884304 kB\nMemFree: 1 kB\n",
        "proc/cpuinfo": "processor\t: 0\nBogoMIPS\t: 108.00\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = machine.describe(tmp_path)
    assert (found["board"], found["governor"]) == ("Raspberry Pi 4 Model B Rev 1.4", "ondemand")
    assert (found["memory_mb"], found["cpu"]) == (3978, None)


def test_what_cannot_be_known_is_none(tmp_path: Path) -> None:
    found = machine.describe(tmp_path)
    assert [found[key] for key in ("board", "cpu", "governor", "memory_mb")] == [None] * 4
    assert found["architecture"] == platform.machine()


def test_it_names_no_host() -> None:
    assert socket.gethostname() not in json.dumps(machine.describe())
