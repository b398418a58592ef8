"""A thermal zone of the board: the processor's temperature, without an extra sensor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged.sensors import Quantity, Reading, Sensor, SensorConfig, sysfs
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_LOW_C, _HIGH_C = -60.0, 200.0  # what a processor can have; drivers sometimes return garbage


class Config(SensorConfig):
    """The keys of ``kind: thermal``."""

    kind: Literal["thermal"] = Field(default="thermal", description="the driver: thermal")
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        default="cpu-thermal",
        description="the zone's type, as `cat /sys/class/thermal/*/type` shows it; or its folder's name",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """Return a temperature."""
        return {"": Quantity("°C", "temperature", low=_LOW_C, high=_HIGH_C)}

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Thermal(config)


class Thermal:
    """One thermal zone."""

    def __init__(self, config: Config) -> None:
        self._zone = sysfs.Device(
            config.root / "class/thermal",
            "thermal_zone*",
            f"thermal zone {config.zone}",
            lambda folder: config.zone in (folder.text("type"), folder.path.name),
            known=lambda folder: folder.text("type"),
            key="zone",
            choice=lambda folder: folder.path.name,
        )

    def open(self) -> None:
        """Find the zone by its type."""
        self._zone.open()

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._zone.read("°C", lambda folder: folder.number("temp") / 1000)

    def close(self) -> None:
        """Close the zone's folder."""
        self._zone.close()
