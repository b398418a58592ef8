"""One channel of a hardware monitoring chip with a kernel driver: temperature, voltage, power, fan.

The chip is found by its name, since the number in ``/sys/class/hwmon/hwmon3`` can change at each boot.
Documentation: https://docs.kernel.org/hwmon/sysfs-interface.html
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

# By the letters of a channel's name: divisor of the attribute's value, unit, device class.
_TYPES: dict[str, tuple[float, str, str]] = {
    "temp": (1e3, "°C", "temperature"),
    "in": (1e3, "V", "voltage"),
    "curr": (1e3, "A", "current"),
    "power": (1e6, "W", "power"),
    "energy": (3.6e12, "kWh", "energy"),  # from microjoules
    "humidity": (1e3, "%", "humidity"),
    "fan": (1.0, "rpm", ""),
    "freq": (1.0, "Hz", "frequency"),
}
_HUMIDITY = (-5.0, 110.0)  # what can be measured; a saturated chip gives a little more than 100
_ON_I2C = re.compile(r"[0-9]+-00[0-9a-f]{2}")
_INPUT = re.compile(rf"((?:{'|'.join(_TYPES)})[0-9]+)_input")


class Config(SensorConfig):
    """The keys of ``kind: hwmon``."""

    kind: Literal["hwmon"] = Field(default="hwmon", description="the driver: hwmon")
    chip: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="the chip's name, as `cat /sys/class/hwmon/*/name` shows it, such as lm75"
    )
    channel: Annotated[
        str, StringConstraints(pattern=r"^(temp|in|curr|power|energy|humidity|fan|freq)[0-9]{1,3}$")
    ] = Field(
        default="temp1",
        description="the channel to read: temp1, in0, curr1, power1, energy1, humidity1, fan1, freq1 …",
    )
    device: str | None = Field(
        examples=["1-0048"],
        default=None,
        description="to choose between chips of the same name: the last part of the device's path",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """Return one quantity, of the channel's type."""
        _, unit, device_class = _type(self.channel)
        low, high = _HUMIDITY if device_class == "humidity" else (None, None)
        return {"": Quantity(unit, device_class, low=low, high=high)}

    @property
    def remedy(self) -> str:
        """The overlay of the chip, where it is known."""
        return overlays.remedy(self.chip)

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Hwmon(config)


def find(root: Path) -> list[Found]:
    """Return the channels that measure of each chip on an I²C bus; others belong to the board."""
    chips = []
    for folder in sysfs.folders(root / "sys/class/hwmon", "hwmon*"):
        channels = [found[1] for file in folder.names() if (found := _INPUT.fullmatch(file))]
        if _ON_I2C.fullmatch(_place(folder)):
            chips.append(sysfs.Listed(folder.text("name"), _place(folder), channels))
    return sysfs.each_channel("hwmon", chips, name="chip", place="device")


class Hwmon:
    """One channel of one chip."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._divisor, self._unit, _ = _type(config.channel)
        where = f" at {config.device}" if config.device else ""
        self._chip = sysfs.Device(
            config.root / "class/hwmon",
            "hwmon*",
            f"hwmon chip {config.chip}{where}",
            self._matches,
            self._known,
            key="device",
            choice=_place,
            hint=self._hint,
        )

    def open(self) -> None:
        """Find the chip by its name."""
        self._chip.open()

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._chip.read(self._unit, self._value)

    def close(self) -> None:
        """Close the chip's folder."""
        self._chip.close()

    def _value(self, folder: sysfs.Folder) -> float:
        value = folder.number(f"{self._config.channel}_input") / self._divisor
        if folder.has(fault := f"{self._config.channel}_fault") and folder.text(fault) != "0":
            raise sysfs.NotMeasured("the chip reports a faulty probe")
        return value

    def _matches(self, folder: sysfs.Folder) -> bool:
        wanted = self._config.device
        if folder.text("name") != self._config.chip or not folder.has(f"{self._config.channel}_input"):
            return False
        return wanted is None or _place(folder) == wanted

    def _hint(self, _names: Sequence[str]) -> str:
        """Return a sentence where the chip's driver is of the other kind."""
        if self._config.chip in sysfs.names(self._config.root / "bus/iio/devices"):
            return f": it is an iio device here; write kind: iio, device: {self._config.chip}"
        return ""

    def _known(self, folder: sysfs.Folder) -> str:
        """Return the chip's name, and its channels where it is the wanted chip."""
        name = folder.text("name")
        if name != self._config.chip:
            return name
        channels = [found[1] for file in folder.names() if (found := _INPUT.fullmatch(file))]
        return f"{name} at {_place(folder)} with {' '.join(channels) or 'no channel'}"


def _place(folder: sysfs.Folder) -> str:
    return (folder.path / "device").resolve().name


def _type(channel: str) -> tuple[float, str, str]:
    return _TYPES[re.sub(r"[0-9]+$", "", channel)]
