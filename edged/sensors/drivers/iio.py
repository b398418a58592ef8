"""One channel of an Industrial I/O device with a kernel driver: climate, light, distance, motion, gas.

The device is found by its name or label, not by its number; ``at`` chooses between two of one name. A
differential channel is named as the kernel does: ``voltage0-voltage1``. Values follow the kernel's ABI:
``_input`` is ready to use, ``_raw`` needs ``(raw + offset) * scale``; both are converted to a common unit.
Documentation: https://www.kernel.org/doc/Documentation/ABI/testing/sysfs-bus-iio
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
# What chips can measure; a wrong wire or a chip that lost its calibration gives the rest.
_HUMIDITY = (-5.0, 110.0)  # a saturated chip gives a little more than it can
_BOSCH = {"temp": (-40.0, 85.0), "pressure": (300.0, 1100.0)}
_RANGES: dict[str, Mapping[str, tuple[float, float]]] = {
    **dict.fromkeys(("bmp180", "bmp280", "bmp380", "bme280", "bme680"), _BOSCH),
    **{name: {"temp": (-40.0, 80.0)} for name in ("dht11", "dht22")},
    **{name: {"temp": (-40.0, 125.0)} for name in ("htu21", "si7020", "hdc1008", "hdc100x")},
}
_KINDS = "|".join(sorted(_TYPES, key=len, reverse=True))
_CHANNEL = rf"^({_KINDS})[0-9]*(-({_KINDS})[0-9]*)?(_[a-z0-9]+)*$"
_VALUE = re.compile(rf"in_((?:{_KINDS})[a-z0-9_-]*?)_(?:raw|input)")
# Modules that are sold as the first often carry the second, which measures less: name, name, what it lacks.
_SOLD_AS = (("bme280", "bmp280", "humidity"), ("bme680", "bme280", "gas"))


class Config(SensorConfig):
    """The keys of ``kind: iio``."""

    kind: Literal["iio"] = Field(default="iio", description="the driver: iio")
    device: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="the device's name or label, as `cat /sys/bus/iio/devices/*/name` shows it"
    )
    at: str | None = Field(
        examples=["1-0076"],
        default=None,
        description="to choose between devices of the same name: the bus and the address, such as 1-0076, "
        "as `ls /sys/bus/i2c/devices` shows them; or the folder's name, such as iio:device0",
    )
    channel: Annotated[str, StringConstraints(pattern=_CHANNEL)] = Field(
        default="temp",
        description="the channel to read: the file's name without in_ and _raw or _input, such as temp, "
        "humidityrelative, pressure, illuminance, voltage0, voltage0-voltage1, accel_x, concentration_co2",
    )
    root: Path = Field(default=Path("/sys"), description="where sysfs is mounted")

    def gives(self) -> Mapping[str, Quantity]:
        """Return one quantity, of the channel's type."""
        _, unit, device_class = _type(self.channel)
        low, high = self._measurable
        return {"": Quantity(unit, _CLASSES.get(self.channel, device_class), low=low, high=high)}

    @property
    def _measurable(self) -> tuple[float | None, float | None]:
        """The range that the chip can measure, as far as it is known."""
        chip = _RANGES.get(self.device.partition("@")[0], {})
        every = _HUMIDITY if self.channel == "humidityrelative" else (None, None)
        return chip.get(self.channel, every)

    @property
    def remedy(self) -> str:
        """The overlay of the device, where it is known."""
        return overlays.remedy(self.device)

    @property
    def needs(self) -> Needs:
        """The folder of sysfs."""
        return Needs(files=(str(self.root),))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Iio(config)


def find(root: Path) -> list[Found]:
    """Return each channel of each device."""
    devices = []
    for folder in sysfs.folders(root / "sys/bus/iio/devices", "iio:device*"):
        channels = {found[1] for file in folder.names() if (found := _VALUE.fullmatch(file))}
        devices.append(sysfs.Listed(folder.text("name"), _place(folder), sorted(channels)))
    return sysfs.each_channel("iio", devices, name="device", place="at")


class Iio:
    """One channel of one device."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._factor, self._unit, _ = _type(config.channel)
        self._base = f"in_{config.channel}"
        self._names: dict[str, str | None] = {}  # of the attributes that hold scale and offset
        where = f" at {config.at}" if config.at else ""
        self._device = sysfs.Device(
            config.root / "bus/iio/devices",
            "iio:device*",
            f"iio device {config.device}{where} with {self._base}",
            self._matches,
            self._known,
            key="at",
            choice=_place,
            hint=self._hint,
        )

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
        measures = folder.has(f"{self._base}_input") or folder.has(f"{self._base}_raw")
        here = self._config.at in (None, _place(folder), folder.path.name)
        return measures and here and self._is_named(folder)

    def _is_named(self, folder: sysfs.Folder) -> bool:
        return self._config.device in (folder.text("name"), _label(folder))

    def _known(self, folder: sysfs.Folder) -> str:
        """Return the device's name, and its channels where it is of the wanted name."""
        name = folder.text("name")
        if not self._is_named(folder):
            return name
        channels = [found[1] for file in folder.names() if (found := _VALUE.fullmatch(file))]
        return f"{name} at {_place(folder)} with {' '.join(sorted(set(channels))) or 'no channel'}"

    def _hint(self, names: Sequence[str]) -> str:
        """Return a sentence where the module is probably another one than its seller named."""
        for sold, real, lacks in _SOLD_AS:
            if self._config.device != sold:
                continue
            if real in names:
                return (
                    f": modules sold as {sold.upper()} may carry a {real.upper()}, which measures no {lacks}"
                )
            if lacks == "humidity" and self._config.channel == "humidityrelative":
                return (
                    f": without humidity it is a {real.upper()}, as many modules sold as {sold.upper()} are"
                )
        if self._config.device in sysfs.names(self._config.root / "class/hwmon"):
            return f": it is a hwmon chip here; write kind: hwmon, chip: {self._config.device}"
        return ""


def _shared(folder: sysfs.Folder, channel: str, part: str) -> str | None:
    """Return the attribute with a channel's scale or offset.

    It is the channel's own, or that of all channels of its type, of all inputs, or of the whole device.
    """
    without_number = re.sub(r"(?<=[a-z])[0-9]+$", "", channel)
    pair = re.sub(r"[0-9]+(?=-|$)", "", channel)  # in_voltage-voltage_scale is that of all differential ones
    of_channels = [f"in_{name}_{part}" for name in (channel, pair, without_number, _word(channel))]
    return next(filter(folder.has, [*of_channels, f"in_{part}", part]), None)


def _word(channel: str) -> str:
    match = re.match(_KINDS, channel)
    return match.group() if match else channel


def _type(channel: str) -> tuple[float, str, str]:
    return _TYPES[_word(channel)]


def _place(folder: sysfs.Folder) -> str:
    """Return the name of what the device hangs on, such as 1-0076; for a chip on I²C, bus and address."""
    return folder.path.resolve().parent.name


def _label(folder: sysfs.Folder) -> str:
    return folder.text("label") if folder.has("label") else ""
