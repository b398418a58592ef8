"""One device, one conversation: sensors on one chip take turns, whatever their drivers."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from edged.sensors import Reading, load, turns
from edged.testing.i2c import Bus, Chip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path


SENSORS = 8


class Selected(Chip):
    """A chip whose answer is about the last command, as that of an ADC that converts one input at a time."""

    def write(self, data: bytes) -> None:
        self.pending = data[-1:] * 4
        self.registers[0] = data[-1:] * 2


def on_one_chip(number: int) -> Callable[[], Sequence[Reading]]:
    """Make one of the sensors; half of them read the answer, half a register after the command."""
    answer: dict[str, Any] = {"at": 0, "bytes": 2} if number % 2 else {"reg": "0", "bytes": 2}
    registers = {"a": answer, "b": {**answer, "at": 2 if number % 2 else 0}}
    command = ["0x01", hex(0x10 + number)]
    wait_ms = random.choice([0, 0, 0.05, 0.2])
    module = load("i2c")
    sensor = module.create(
        module.Config(address="0x48", registers=registers, command=command, wait_ms=wait_ms, deadline_s=60)
    )
    sensor.open()
    read: Callable[[], Sequence[Reading]] = sensor.read
    return read


def of_another_driver(number: int) -> Callable[[], Sequence[Reading]]:
    """Make a sensor as another package's driver would be: it shares nothing but the name of the turn."""
    import smbus2

    bus, pause = smbus2.SMBus(1), threading.Event()

    def read() -> Sequence[Reading]:
        with turns.take("/dev/i2c-1 0x48", 60):
            bus.i2c_rdwr(smbus2.i2c_msg.write(0x48, [0x10 + number]))
            pause.wait(random.choice([0, 0.0001]))
            answer = smbus2.i2c_msg.read(0x48, 2)
            bus.i2c_rdwr(answer)
        return [Reading("", float(int.from_bytes(bytes(answer), "big")), "", 0.0)]

    return read


def mixed(reads: int) -> int:
    """Read from all sensors at random intervals; return how many values were another sensor's."""
    wrong, pause = [], threading.Event()

    def run(number: int, read: Callable[[], Sequence[Reading]]) -> None:
        own = (0x10 + number) * 0x101
        for _ in range(reads // SENSORS):
            readings = read()
            wrong.extend(r for r in readings if r.value != own)
            if random.random() < 0.2:
                pause.wait(random.random() * 0.001)

    made = [on_one_chip(n) for n in range(SENSORS - 1)]
    threads = [
        threading.Thread(target=run, args=(n, read))
        for n, read in enumerate([*made, of_another_driver(SENSORS - 1)])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(wrong)


@pytest.fixture
def chip(bus: Bus) -> Iterator[Chip]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # threads change places often
    bus.chips[0x48] = Selected()
    yield bus.chips[0x48]
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("chip")
def test_eight_sensors_on_one_chip_mix_no_values() -> None:
    assert mixed(2000) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("chip")
def test_eight_sensors_on_one_chip_mix_no_values_in_100000_readings() -> None:
    assert mixed(100_000) == 0


@pytest.mark.usefixtures("chip")
def test_without_turns_they_would_be_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "_lock", lambda _: threading.Lock())
    monkeypatch.setattr(turns, "_locked", lambda *_: False)
    assert mixed(2000) > 0


def test_a_turn_is_waited_for_and_given_up_in_time() -> None:
    with turns.take("chip", 1):
        began = time.monotonic()
        thread = threading.Thread(target=_try, args=(found := [],))
        thread.start()
        thread.join()
        assert 0.05 <= time.monotonic() - began < 2
        assert found == ["chip was in use by another sensor for 0.1 s"]
        with turns.take("another chip", 0):
            pass
    with turns.take("chip", 0):
        pass


def _try(found: list[str]) -> None:
    try:
        with turns.take("chip", 0.1):
            found.append("taken")
    except turns.Waited as waited:
        found.append(str(waited))


def test_a_turn_keeps_other_processes_out(tmp_path: Path) -> None:
    device = tmp_path / "i2c-1"
    device.touch()
    code = (
        "import os, sys; from edged.sensors import turns\n"
        f"fd = os.open({str(device)!r}, os.O_RDWR)\n"
        "try:\n"
        "    with turns.take('chip', 0.1, descriptor=fd, at=int(sys.argv[1])): print('taken')\n"
        "except turns.Waited as waited: print(waited)\n"
    )

    def elsewhere(at: int) -> str:
        done = subprocess.run(
            [sys.executable, "-c", code, str(at)], capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    descriptor = os.open(device, os.O_RDWR)
    try:
        with turns.take("chip", 1, descriptor=descriptor, at=0x48):
            os.close(os.open(device, os.O_RDWR))  # another sensor of this process ends
            assert elsewhere(0x48) == "chip is in use by another process of edged"
            assert elsewhere(0x49) == "taken"
        assert elsewhere(0x48) == "taken"
    finally:
        os.close(descriptor)


def test_a_device_whose_driver_has_no_locks_is_used_without() -> None:
    reading, writing = os.pipe()
    try:
        with turns.take("pipe", 1, descriptor=reading):
            pass
    finally:
        os.close(reading)
        os.close(writing)
