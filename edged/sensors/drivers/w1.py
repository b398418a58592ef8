"""A DS18B20 thermometer (or one of its family) at the 1-Wire bus, through the kernel's w1_therm.

Two values are no temperatures although the chip says them: 85 °C is what it holds from power-on to its first
conversion, and a short-circuited bus reads as zeros with a checksum that fits.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged.sensors import Quantity, Reading, Sensor, SensorConfig, sysfs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAMILIES = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}")  # of thermometers; the family is the id's first part
_POWER_ON = 85000  # thousandths of a degree


class Config(SensorConfig):
    """The keys of ``kind: w1``."""

    kind: Literal["w1"] = Field(default="w1", description="the driver: w1")
    id: Annotated[str, StringConstraints(pattern=r"^(10|22|28|3b|42)-[0-9a-f]{12}$")] | None = Field(
        examples=["28-0316a2795bff"],
        default=None,
        description="of the thermometer, as in `ls /sys/bus/w1/devices`; left out: the only one there is",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """A temperature, in the range of the chip."""
        return {"": Quantity("°C", "temperature", low=-55, high=125)}


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return W1(config)


class W1:
    """Reads one thermometer; a conversion takes 0.75 s."""

    def __init__(self, config: Config) -> None:
        wanted = config.id
        self._thermometer = sysfs.Device(
            config.root / "bus/w1/devices",
            "*-*",
            f"thermometer {wanted}" if wanted else "thermometer",
            lambda folder: _is_thermometer(folder) and wanted in (None, folder.path.name),
            known=lambda folder: folder.path.name if _is_thermometer(folder) else "",
        )

    def open(self) -> None:
        """Find the thermometer by its id."""
        self._thermometer.open()

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._thermometer.read("°C", lambda folder: _parse(folder.text("w1_slave")))

    def close(self) -> None:
        """Let go of the thermometer."""
        self._thermometer.close()


def _is_thermometer(folder: sysfs.Folder) -> bool:
    return bool(_FAMILIES.fullmatch(folder.path.name)) and folder.has("w1_slave")


def _parse(text: str) -> float:
    """Return the temperature in °C. Raises ``NotMeasured``.

    The kernel prints the nine bytes of the chip's memory twice: once with its verdict on the checksum, once
    with the temperature in thousandths.
    """
    lines = text.splitlines()
    match = re.search(r"t=(-?[0-9]+)\s*$", lines[-1]) if len(lines) > 1 else None
    if match is None:
        raise sysfs.NotMeasured("the kernel gave no temperature")
    if not lines[0].endswith("YES"):
        raise sysfs.NotMeasured("the checksum is wrong")
    if set(lines[0].partition(":")[0].split()) == {"00"}:
        raise sysfs.NotMeasured("all bytes are zero: the bus is short-circuited")
    thousandths = int(match.group(1))
    if thousandths == _POWER_ON:
        what = "85 °C is the value from power-on: the chip has not measured, look at its supply"
        raise sysfs.NotMeasured(what)
    return thousandths / 1000
