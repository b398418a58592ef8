"""A DS18B20 thermometer or a relative on the 1-Wire bus, through the kernel's w1_therm.

Two readings of the chip are not temperatures: it holds 85 °C from power-on until its first conversion, and a
short-circuited bus reads as zeros, for which the checksum is correct.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged.sensors import Quantity, Reading, Sensor, SensorConfig, sysfs
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FAMILIES = re.compile(r"(10|22|28|3b|42)-[0-9a-f]{12}")  # of thermometers; an id begins with its family
_POWER_ON = 85000  # thousandths of a degree


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
        """Return a temperature, with the range of the chip."""
        return {"": Quantity("°C", "temperature", low=-55, high=125)}

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return W1(config)


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
        )

    def open(self) -> None:
        """Find the thermometer by its id."""
        self._thermometer.open()

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._thermometer.read("°C", lambda folder: _parse(folder.text("w1_slave")))

    def close(self) -> None:
        """Close the thermometer's folder."""
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
        raise sysfs.NotMeasured("the kernel did not return a temperature")
    if not lines[0].endswith("YES"):
        raise sysfs.NotMeasured("the checksum is wrong")
    if set(lines[0].partition(":")[0].split()) == {"00"}:
        raise sysfs.NotMeasured("all bytes are zero: the bus is short-circuited")
    thousandths = int(match.group(1))
    if thousandths == _POWER_ON:
        raise sysfs.NotMeasured(
            "85 °C is the power-on value: the chip has not measured; check its power supply"
        )
    return thousandths / 1000
