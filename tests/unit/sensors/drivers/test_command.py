from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import Reason, Unavailable
from edged.sensors.drivers.command import Command, Config

if TYPE_CHECKING:
    from edged.sensors import Reading


def read(program: str, **keys: Any) -> list[Reading]:
    sensor = Command(Config(command=[sys.executable, "-c", program], **keys))
    sensor.open()
    try:
        return list(sensor.read())
    finally:
        sensor.close()


@pytest.mark.parametrize(
    ("printed", "value"), [("21.5", 21.5), (" -3\\n", -3.0), ("1e3", 1000.0), ('\\"7.25\\"', 7.25)]
)
def test_a_program_prints_a_number(printed: str, value: float) -> None:
    (reading,) = read(f'print("{printed}")')
    assert (reading.value, reading.quality) == (value, "good")


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("temp=48.3'C", 48.3),
        ("21,5", 21.5),
        ("40,78", 40.78),
        ("21.5 C", 21.5),
        ("-0,25 °C", -0.25),
        ("Temperature: 21.5°C", 21.5),
        ("temp1=+21.5", 21.5),
        ("12 m3", 12.0),
        ("CO2: 612 ppm", 612.0),
        ("pm2.5 = 7 ug/m3", 7.0),
        ("85%", 85.0),
    ],
)
def test_a_number_with_a_name_a_unit_or_a_comma_is_read(printed: str, value: float) -> None:
    (reading,) = read(f"print({printed!r})")
    assert (reading.value, reading.reason) == (value, "")
    (reading,) = read(f"import json; print(json.dumps({{'t': {printed!r}}}))", values={"t": {}})
    assert reading.value == value


@pytest.mark.parametrize(
    "printed",
    ["OK 21.5", "1,234", "1.234,5", "T=21.5 H=40", "12:30", "error: 404", "0x1f", "5-10", "2026-11-29"],
)
def test_what_is_not_clear_is_quoted(printed: str) -> None:
    (reading,) = read(f"print({printed!r})")
    assert (reading.value, reading.quality) == (None, "bad")
    assert reading.reason == f"the program printed '{printed}', neither a number nor JSON"
    (reading,) = read(f"import json; print(json.dumps({{'t': {printed!r}}}))", values={"t": {}})
    assert reading.reason == f"the program did not print a number under t: it printed '{printed}'"


def test_a_long_output_is_quoted_in_part_and_on_one_line() -> None:
    (reading,) = read("print('a\\n' * 100 + chr(27))")
    assert reading.reason == f"the program printed '{'a ' * 20}…', neither a number nor JSON"


def test_a_child_that_keeps_the_output_open_does_not_delay_the_reading() -> None:
    program = "import subprocess; subprocess.Popen(['sleep', '60']); print(5)"
    began = time.monotonic()
    (reading,) = read(program)
    assert (reading.value, reading.quality) == (5.0, "good")
    assert time.monotonic() - began < 3


def test_a_program_prints_json() -> None:
    values = {
        "level": {"key": "tank.cm", "unit": "cm"},
        "full": {"binary": True},
        "missing": {"key": "tank.none"},
        "text": {},
    }
    readings = read('print(\'{"tank": {"cm": 42}, "full": "ON", "text": [1]}\')', values=values)
    assert [(r.channel, r.value, r.unit) for r in readings[:2]] == [("level", 42.0, "cm"), ("full", True, "")]
    assert [r.reason for r in readings[2:]] == [
        "the program did not print a number under tank.none",
        "the program did not print a number under text",
    ]


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("print('hot')", "neither a number nor JSON"),
        ("pass", "printed nothing, neither a number nor JSON"),
        ("print('[' * 20000)", "neither a number nor JSON"),
        ("print('{}')", "did not print a number"),
        ("print('true')", "did not print a number"),
        ("print(7); import sys; sys.exit('no tank')", "ended with 1: no tank"),
        ("import os; os.kill(os.getpid(), 9)", "ended with -9"),
        ("while True: print('x' * 1000)", "more than 64 KiB"),
    ],
)
def test_a_bad_reading_has_a_reason(program: str, reason: str) -> None:
    (reading,) = read(program)
    assert (reading.value, reading.quality) == (None, "bad")
    assert reason in reading.reason


def test_a_program_that_takes_too_long_is_killed_with_its_children(tmp_path: Path) -> None:
    note = tmp_path / "child"
    program = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    began = time.monotonic()
    (reading,) = read(program, timeout_s=0.7)
    assert time.monotonic() - began < 3
    assert reading.reason == "the program took longer than 0.7 s"
    until = time.monotonic() + 5
    while _runs(int(note.read_text())):
        assert time.monotonic() < until


def _runs(pid: int) -> bool:
    """Whether a process still does something; one that waits for its new parent to notice does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_that_closes_its_output_and_stays_is_killed() -> None:
    began = time.monotonic()
    (reading,) = read("import os, time; os.close(1); os.close(2); time.sleep(60)", timeout_s=0.5)
    assert time.monotonic() - began < 3
    assert "longer than 0.5 s" in reading.reason


def test_no_shell_reads_the_arguments(tmp_path: Path) -> None:
    marker = tmp_path / "made"
    sensor = Command(Config(command=["echo", f"1; touch {marker}"]))
    sensor.open()
    assert sensor.read()[0].quality == "bad"
    assert not marker.exists()


def test_a_program_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="there is no program /nowhere/tank") as caught:
        Command(Config(command=["/nowhere/tank"])).open()
    assert caught.value.reason is Reason.ABSENT
    plain = tmp_path / "plain"
    plain.write_text("no program")
    with pytest.raises(Unavailable, match="is not executable") as caught:
        Command(Config(command=[str(plain)])).open()
    assert caught.value.reason is Reason.DENIED
    plain.chmod(0o755)
    sensor = Command(Config(command=[str(plain)]))
    sensor.open()
    with pytest.raises(Unavailable, match="Exec format error"):
        sensor.read()


def test_the_time_limit_is_below_the_deadline() -> None:
    with pytest.raises(ValueError, match=r"timeout_s \(5\) must be below deadline_s \(5\)"):
        Config(command=["true"], timeout_s=5)
