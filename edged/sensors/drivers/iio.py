"""One channel of an Industrial I/O device with a kernel driver: climate, light, distance, motion, gas.

The device is found by its name or label, not by its number. Values follow the kernel's ABI: ``_input`` is
ready to use, ``_raw`` needs ``(raw + offset) * scale``; both are converted to a common unit.
Documentation: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-bus-iio
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

# By the first word of a channel's name: factor from the ABI's unit, unit, device class.
_TYPES: dict[str, tuple[float, str, str]] = {
    "temp": (1e-3, "°C", "temperature"),
    "humidityrelative": (1e-3, "%", "humidity"),
    "pressure": (10.0, "hPa", "atmospheric_pressure"),  # from kPa
    "illuminance": (1.0, "lx", "illuminance"),
    "intensity": (1.0, "", ""),
    "uvindex": (1.0, "", ""),
    "proximity": (1.0, "", ""),
    "distance": (1.0, "m", "distance"),
    "voltage": (1e-3, "V", "voltage"),
    "current": (1e-3, "A", "current"),
    "power": (1e-3, "W", "power"),
    "resistance": (1.0, "Ω", ""),
    "concentration": (1e4, "ppm", ""),  # from percent
    "massconcentration": (1.0, "µg/m³", ""),
    "ph": (1.0, "", "ph"),
    "electricalconductivity": (1.0, "S/m", ""),
    "accel": (1.0, "m/s²", ""),
    "anglvel": (1.0, "rad/s", ""),
    "magn": (1.0, "G", ""),
    "angl": (1.0, "rad", ""),
    "count": (1.0, "", ""),
}
_CLASSES = {
    "concentration_co2": "carbon_dioxide",
    "massconcentration_pm1": "pm1",
    "massconcentration_pm2p5": "pm25",
    "massconcentration_pm10": "pm10",
}
_KINDS = "|".join(sorted(_TYPES, key=len, reverse=True))


class Config(SensorConfig):
    """The keys of ``kind: iio``."""

    kind: Literal["iio"] = Field(default="iio", description="the driver: iio")
    device: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="the device's name or label, as `cat /sys/bus/iio/devices/*/name` shows it"
    )
    channel: Annotated[str, StringConstraints(pattern=rf"^({_KINDS})[0-9]*(_[a-z0-9]+)*$")] = Field(
        default="temp",
        description="the channel to read: the file's name without in_ and _raw or _input, such as temp, "
        "humidityrelative, pressure, illuminance, voltage0, accel_x, concentration_co2",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """Return one quantity, of the channel's type."""
        _, unit, device_class = _type(self.channel)
        return {"": Quantity(unit, _CLASSES.get(self.channel, device_class))}

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Iio(config)


class Iio:
    """One channel of one device."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._factor, self._unit, _ = _type(config.channel)
        self._base = f"in_{config.channel}"
        self._names: dict[str, str | None] = {}  # of the attributes that hold scale and offset
        what = f"iio device {config.device} with {self._base}"
        self._device = sysfs.Device(config.root / "bus/iio/devices", "iio:device*", what, self._matches)

    def open(self) -> None:
        """Find the device by its name, and the attributes of the channel."""
        folder = self._device.open()
        self._names = {part: _shared(folder, self._config.channel, part) for part in ("scale", "offset")}

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        return self._device.read(self._unit, lambda folder: self._value(folder) * self._factor)

    def close(self) -> None:
        """Close the device's folder."""
        self._device.close()

    def _value(self, folder: sysfs.Folder) -> float:
        if folder.has(f"{self._base}_input"):
            return folder.number(f"{self._base}_input")
        raw = folder.number(f"{self._base}_raw")
        offset, scale = self._names["offset"], self._names["scale"]
        # Both are read each time, because a device that changes its range changes its scale.
        return (raw + (folder.number(offset) if offset else 0)) * (folder.number(scale) if scale else 1)

    def _matches(self, folder: sysfs.Folder) -> bool:
        named = folder.text("name") == self._config.device or _label(folder) == self._config.device
        return named and (folder.has(f"{self._base}_input") or folder.has(f"{self._base}_raw"))


def _shared(folder: sysfs.Folder, channel: str, part: str) -> str | None:
    """Return the attribute with a channel's scale or offset.

    It is the channel's own, or that of all channels of its type, of all inputs, or of the whole device.
    """
    without_number = re.sub(r"(?<=[a-z])[0-9]+$", "", channel)
    of_channels = [f"in_{name}_{part}" for name in (channel, without_number, _word(channel))]
    return next(filter(folder.has, [*of_channels, f"in_{part}", part]), None)


def _word(channel: str) -> str:
    match = re.match(_KINDS, channel)
    return match.group() if match else channel


def _type(channel: str) -> tuple[float, str, str]:
    return _TYPES[_word(channel)]


def _label(folder: sysfs.Folder) -> str:
    return folder.text("label") if folder.has("label") else ""
