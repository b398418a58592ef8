"""Chips on an I²C bus of the kernel's i2c-stub: registers are set here and read by the kernel's drivers."""

from __future__ import annotations

import struct
from pathlib import Path

from system import run, text, wait, write

THERMOMETER, NEIGHBOUR, BAROMETER = 0x48, 0x49, 0x76

# The example of BMP280's data sheet, 3.12: calibration T1-T3 and P1-P9, and what the converter gave.
CALIBRATION = struct.pack(
    "<HhhHhhhhhhhh", 27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000
)
EXAMPLE = (519888, 415148)  # temperature, pressure: 25.08 °C, 1006.53 hPa


def load() -> str:
    """Make the bus and return its number."""
    run("modprobe", "i2c-dev")
    addresses = ",".join(hex(chip) for chip in (THERMOMETER, NEIGHBOUR, BAROMETER))
    run("modprobe", "i2c-stub", f"chip_addr={addresses}")
    return wait("the stub's bus", _bus, 10)


def _bus() -> str:
    for bus in Path("/sys/bus/i2c/devices").glob("i2c-*"):
        if text(bus / "name") == "SMBus stub driver":
            return bus.name.removeprefix("i2c-")
    return ""


class Bus:
    """The bus by its number. Writing is forced (-f): the chips belong to their drivers."""

    def __init__(self) -> None:
        self.number = load()

    def heat(self, chip: int, celsius: float) -> None:
        """Set the temperature of an LM75 or its like: half degrees in the upper bits, high byte first."""
        value = round(celsius * 2) << 7 & 0xFFFF
        swapped = value >> 8 | (value & 0xFF) << 8
        run("i2cset", "-f", "-y", self.number, hex(chip), "0", hex(swapped), "w")

    def weather(self, temperature: int, pressure: int) -> None:
        """Set what the barometer's converter gives, 20 bits each."""
        for register, raw in ((0xF7, pressure), (0xFA, temperature)):
            self._bytes(register, bytes([raw >> 12, raw >> 4 & 0xFF, (raw & 0xF) << 4]))

    def calibrate(self) -> None:
        """Give the barometer its identity and its calibration words."""
        self._bytes(0xD0, b"\x58")
        self._bytes(0x88, CALIBRATION)
        self.weather(*EXAMPLE)

    def add(self, kind: str, chip: int) -> None:
        write(f"/sys/bus/i2c/devices/i2c-{self.number}/new_device", f"{kind} {chip:#x}")

    def remove(self, chip: int) -> None:
        write(f"/sys/bus/i2c/devices/i2c-{self.number}/delete_device", f"{chip:#x}")

    def _bytes(self, first: int, data: bytes) -> None:
        for n, byte in enumerate(data):
            run("i2cset", "-f", "-y", self.number, hex(BAROMETER), hex(first + n), hex(byte), "b")


def monitor(name: str) -> str:
    """Return which hwmonN a chip is, or ""."""
    for folder in Path("/sys/class/hwmon").glob("hwmon*"):
        if text(folder / "name") == name:
            return folder.name
    return ""


def industrial(name: str) -> str:
    """Return which iio:deviceN a chip is, or ""."""
    for folder in Path("/sys/bus/iio/devices").glob("iio:device*"):
        if text(folder / "name") == name:
            return folder.name
    return ""
