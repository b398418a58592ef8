"""A thermal zone of the board: how hot its processor is, without a sensor of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from edged import clock
from edged.sensors import Quality, Quantity, Reading, Sensor, SensorConfig, _sysfs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Config(SensorConfig):
    """The keys of ``kind: thermal``."""

    kind: Literal["thermal"] = Field(default="thermal", description="the driver: thermal")
    zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        default="cpu-thermal", description="the zone's type, as in `cat /sys/class/thermal/*/type`"
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """A temperature."""
        return {"": Quantity("°C", "temperature")}


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Thermal(config)


class Thermal:
    """Reads one zone."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._folder: _sysfs.Folder | None = None

    def open(self) -> None:
        """Find the zone by its type."""
        self.close()
        zone = self._config.zone
        self._folder = _sysfs.find(
            self._config.root / "class/thermal",
            "thermal_zone*",
            lambda folder: folder.text("type") == zone,
            f"thermal zone {zone}",
            lambda folder: folder.text("type"),
        )

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        folder = _sysfs.opened(self._folder, self._config.zone)
        try:
            value = folder.number("temp") / 1000
        except _sysfs.NotMeasured as error:
            return [Reading("", None, "°C", clock.wall(), Quality.BAD, str(error))]
        return [Reading("", value, "°C", clock.wall())]

    def close(self) -> None:
        """Let go of the zone."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None
