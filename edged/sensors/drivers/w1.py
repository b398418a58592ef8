"""A DS18B20 thermometer, a relative or a thermocouple (MAX31850) on the 1-Wire bus, through w1_therm.

Two readings of a DS18B20 are not temperatures: it holds 85 °C from power-on until its first conversion, and a
short-circuited bus reads as zeros, for which the checksum is correct. A MAX31850 shares its family with the
DS1825; a bit of its memory tells them apart, and another one, which the kernel ignores, reports a fault.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged.sensors import Found, Quantity, Reading, Sensor, SensorConfig, overlays, sysfs
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAMILIES = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}")  # of thermometers; an id begins with its family
_POWER_ON = 85000  # thousandths of a degree
_RANGE_C, _THERMOCOUPLE_C = (-55, 125), (-270, 1768)
_SHARED = "3b"  # the family of both the DS1825 and the MAX31850
_IS_THERMOCOUPLE = 0x80  # in the fifth byte of such a chip's memory
_IS_BROKEN = 0x01  # in the first byte of a thermocouple's


class Config(SensorConfig):
    """The keys of ``kind: w1``."""

    kind: Literal["w1"] = Field(default="w1", description="the driver: w1")
    id: Annotated[str, StringConstraints(pattern=r"^(10|22|28|3b|42)-[0-9a-f]{12}$")] | None = Field(
        examples=["28-0316a2795bff"],
        default=None,
        description="the thermometer's id, as `ls /sys/bus/w1/devices` shows it; default: the only one",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """Return a temperature, with the range of the chip; the widest one where the chip is not named."""
        can_be_hot = self.id is None or self.id.startswith(_SHARED)
        low, high = _THERMOCOUPLE_C if can_be_hot else _RANGE_C
        return {"": Quantity("°C", "temperature", low=low, high=high)}

    @property
    def remedy(self) -> str:
        """The overlay of the bus."""
        return overlays.remedy("w1")

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return W1(config)


def find(root: Path) -> list[Found]:
    """Return each thermometer."""
    folders = sysfs.folders(root / "sys/bus/w1/devices", "*-*")
    ids = [folder.path.name for folder in folders if _is_thermometer(folder)]
    return [Found("thermometer", {"kind": "w1", "id": id_}) for id_ in ids]


class W1:
    """One thermometer; a conversion takes 0.75 s."""

    def __init__(self, config: Config) -> None:
        wanted = config.id
        self._thermometer = sysfs.Device(
            config.root / "bus/w1/devices",
            "*-*",
            f"thermometer {wanted}" if wanted else "thermometer",
            lambda folder: _is_thermometer(folder) and wanted in (None, folder.path.name),
            known=lambda folder: folder.path.name if _is_thermometer(folder) else "",
            key="id",
            choice=lambda folder: folder.path.name,
        )

    def open(self) -> None:
        """Find the thermometer by its id."""
        self._thermometer.open()

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._thermometer.read(
            "°C", lambda folder: _parse(folder.text("w1_slave"), folder.path.name[:2])
        )

    def close(self) -> None:
        """Close the thermometer's folder."""
        self._thermometer.close()


def _is_thermometer(folder: sysfs.Folder) -> bool:
    return bool(_FAMILIES.fullmatch(folder.path.name)) and folder.has("w1_slave")


def _parse(text: str, family: str) -> float:
    """Return the temperature in °C. Raises ``NotMeasured``.

    The kernel prints the nine bytes of the chip's memory twice: once with its verdict on the checksum, once
    with the temperature in thousandths.
    """
    lines = text.splitlines()
    match = re.search(r"t=(-?[0-9]+)\s*$", lines[-1]) if len(lines) > 1 else None
    if match is None:
        raise sysfs.NotMeasured("the kernel did not return a temperature")
    if not lines[0].endswith("YES"):
        raise sysfs.NotMeasured("the checksum is wrong")
    memory = bytes(int(byte, 16) for byte in re.findall(r"\b[0-9a-f]{2}\b", lines[0].partition(":")[0]))
    if memory and not any(memory):
        raise sysfs.NotMeasured("all bytes are zero: the bus is short-circuited")
    thousandths = int(match.group(1))
    if family == _SHARED and len(memory) > 4 and memory[4] & _IS_THERMOCOUPLE:
        if memory[0] & _IS_BROKEN:
            raise sysfs.NotMeasured(
                "the chip reports a fault of the thermocouple: it is open or short-circuited"
            )
        return thousandths / 1000
    if thousandths == _POWER_ON:
        raise sysfs.NotMeasured(
            "85 °C is the power-on value: the chip has not measured; check its power supply"
        )
    low, high = _RANGE_C
    if not low * 1000 <= thousandths <= high * 1000:
        beyond = f"above {high}" if thousandths > 0 else f"below {low}"
        raise sysfs.NotMeasured(f"{beyond} °C, which the chip cannot measure")
    return thousandths / 1000
