"""Sensors: the contract of sensor drivers. Each driver is one file in ``drivers``.

``kind: hwmon`` in the configuration loads the module ``edged.sensors.drivers.hwmon`` or, for a third-party
driver, the entry point ``hwmon`` of the group ``edged.sensors``. The module exposes

* ``Config``, a pydantic model (a subclass of :class:`edged.sensors.SensorConfig`). Its field descriptions are
  the driver's reference page. Its ``gives()`` returns the measured quantities, which follow from the
  configuration alone, so that topics and Home Assistant entities are the same with and without the device.
* ``create(config) -> Sensor``, which does no I/O: ``edged check`` calls it on any laptop.

The module does not import heavy packages at its top, and never numpy, so that a process with fifty sensors
stays small. Vendor modules are imported inside ``open()``. The first line of a driver's docstring is its help
text.

Contract of a Sensor, tested for every driver by one conformance test:

* ``open()`` touches the device. It raises ``Unavailable`` (device away, busy, denied) or ``DriverError``
  (package missing; the message holds the command that installs it).
* ``read()`` measures now and returns one Reading for each channel of ``gives()``. A channel that could not
  be measured this time (a checksum, a bus error, no answer) gets a reading of quality ``bad`` with the
  reason; one of a device that sends unasked is left out until something new came. If the device went away it
  raises ``Unavailable``: the runner closes it, backs off and opens it again. Silence is not such a reason. A
  driver never returns ``stale`` and does not handle unit, scale, range or deadband;
  ``edged.worker.sensor_shaping`` does.
* ``close()`` releases everything; it may be called twice, and before ``open()``.
* A conversation of several steps (command, pause, answer) holds the device from its first byte to its last,
  by :func:`edged.sensors.turns.take` with a name that all drivers use which may talk to it. Serial ports are
  shared with :mod:`edged.sensors.serial_ports`.
* One thread makes all these calls, and a call may block: each sensor has its own thread and its own deadline.

A driver that needs a vendor's package also has a function ``library()``, which imports and returns it, or
raises ``DriverError``; ``edged doctor`` calls it in a separate process.

A driver that can tell without opening a device which sensors the machine has also has a function
``find(root)``, which returns them as :class:`Found`; ``edged init`` writes them.

A sensor that has events in addition to its state (a gpio line) also has ``wait(timeout_s)``, see
:class:`EdgeSensor`.
"""

from __future__ import annotations

import enum
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged.drivers import Registry, wrong
from edged.drivers import Section as Block
from edged.sensors import units
from edged.system.needs import EVERYTHING, Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANNEL = r"^[a-z0-9_]{1,32}$"
STALE_INTERVALS = 3  # a reading is stale after this many intervals, where stale_after_s is not set
_LONGEST_NAME = 24  # of a sensor that was found; a number may follow
_TAKEN = frozenset({"state", "availability"})  # levels of a sensor's topic


class Quality(enum.StrEnum):
    """The quality of a reading."""

    GOOD = "good"
    STALE = "stale"  # it was good, but no newer reading has arrived
    SUSPECT = "suspect"  # a number that is out of range or stuck
    BAD = "bad"  # not a measurement: not a number, a wrong checksum, a bus error


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement.

    Attributes:
        channel: the sensor's channel; "" where it has only one.
        value: a number, a state, or None where there is none. NaN and infinities are never ``good``.
        unit: the unit as people write it: °C, %, hPa, lx, ppm; "" for a state or a bare number.
        ts: the wall time of the measurement, seconds since 1970.
        quality: good, stale, suspect or bad.
        reason: why it is not good, as a short clause.
    """

    channel: str
    value: float | bool | None
    unit: str
    ts: float
    quality: Quality = Quality.GOOD
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """The quantity that a channel measures.

    Attributes:
        unit: the unit of its readings.
        device_class: Home Assistant's device class; "" where it has none.
        binary: it is a state, on or off, not a number.
        low, high: the hardware's measuring range; a value outside it is ``bad``.
    """

    unit: str = ""
    device_class: str = ""
    binary: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A sensor that a driver found on this machine.

    Attributes:
        name: a name for it in the configuration.
        keys: its keys, with ``kind``; those that are left out have their defaults.
    """

    name: str
    keys: Mapping[str, Any]


class Sensor(Protocol):
    """A device that is read at intervals."""

    def open(self) -> None:
        """Touch the device. Raises ``Unavailable`` or ``DriverError``."""

    def read(self) -> Sequence[Reading]:
        """Measure now. Raises ``Unavailable`` where the device went away."""

    def close(self) -> None:
        """Release everything; may be called twice."""


@runtime_checkable
class EdgeSensor(Protocol):
    """The method of a sensor with events, in addition to ``open``, ``read`` and ``close``."""

    def wait(self, timeout_s: float) -> Sequence[Reading]:
        """Return the edges since the last call, oldest first; wait at most ``timeout_s`` for the first.

        ``ts`` is the kernel's time of the edge. If there are very many, the runner uses the first and the
        newest. Raises ``Unavailable``.
        """


def _free(name: str) -> str:
    if name in _TAKEN:
        raise ValueError(f"'{name}' is a level of the sensor's topic; choose another name")
    return name


ChannelName = Annotated[str, StringConstraints(pattern=CHANNEL), AfterValidator(_free)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Decimals = Annotated[int, Field(ge=0, le=9)]
Unit = Annotated[str, StringConstraints(max_length=16)]
DeviceClass = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9_]*$")]
Publishing = Literal["json", "bare", "none"]


class Aggregate(Block):
    """Aggregation of several readings into one."""

    window_s: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = Field(
        examples=[60], description="length of the window, in s"
    )
    how: Literal["mean", "min", "max", "last"] = Field(
        default="mean", description="the value of a window to publish"
    )


class ChannelSection(Block):
    """Settings of one channel of a sensor that has several."""

    unit: Unit | None = Field(default=None, description="unit to publish; see the sensor's key")
    device_class: DeviceClass | None = Field(
        default=None, description="Home Assistant's device class; replaces the driver's"
    )
    scale: Finite | None = Field(default=None, description="multiply by this …")
    offset: Finite | None = Field(default=None, description="… then add this")
    min: Finite | None = Field(default=None, description="lower values are suspect; after scale and offset")
    max: Finite | None = Field(default=None, description="higher values are suspect; after scale and offset")
    round: Decimals | None = Field(default=None, description="decimals to publish")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="publish only changes of at least this amount"
    )
    publish: Publishing | None = Field(default=None, description="json, bare (only the value) or none")


class SensorConfig(Block):
    """The keys of every sensor; a driver's ``Config`` adds its own."""

    kind: str = Field(description="the driver: the name of its module")
    interval_s: Annotated[float, Field(ge=0.01, le=86400, allow_inf_nan=False)] = Field(
        default=10.0, description="time between two readings, in s"
    )
    deadline_s: Annotated[float, Field(ge=0.1, le=600, allow_inf_nan=False)] = Field(
        default=5.0, description="a reading that takes longer counts as hung, in s"
    )
    unit: Unit | None = Field(
        examples=["°F"],
        default=None,
        description="unit to publish: readings are converted from the driver's (°C to °F, hPa to inHg …); a "
        "unit that edged does not know only replaces the name. scale and offset come after the conversion",
    )
    device_class: DeviceClass | None = Field(
        examples=["temperature"],
        default=None,
        description="Home Assistant's device class; replaces the driver's",
    )
    scale: Finite = Field(default=1.0, description="multiply by this …")
    offset: Finite = Field(default=0.0, description="… then add this")
    min: Finite | None = Field(
        examples=[-40], default=None, description="lower values are suspect; after scale and offset"
    )
    max: Finite | None = Field(
        examples=[85], default=None, description="higher values are suspect; after scale and offset"
    )
    stuck_after: Annotated[int, Field(ge=0, le=100000)] = Field(
        default=0, description="this many equal values in a row are suspect (0: never)"
    )
    stale_after_s: Annotated[float, Field(gt=0, le=864000, allow_inf_nan=False)] | None = Field(
        examples=[60],
        default=None,
        description="a reading older than this, in s, is stale, and bad at twice this; default: 3 intervals",
    )
    first_after_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0,
        description="time between opening the device and the first reading, in s, for a chip that warms up",
    )
    shared_device: Annotated[str, StringConstraints(max_length=64)] = Field(
        examples=["adc"],
        default="",
        description="a name for a device that sensors share: those with the same name are read one after the "
        "other, also of different kinds. On one chip (i2c) or port (serial) sensors take turns without it",
    )
    hold_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0,
        description="for this time, in s, the last good reading stands in for bad ones, for a chip that "
        "fails one read in three (0: never)",
    )
    aggregate: Aggregate | None = Field(
        examples=[{"window_s": 60, "how": "mean"}],
        default=None,
        description="publish the mean, min, max or last of a window instead of each reading",
    )
    round: Decimals | None = Field(examples=[1], default=None, description="decimals to publish")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="publish only changes of at least this amount (0: every reading)"
    )
    heartbeat_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0, description="publish at least every N seconds (0: only changes)"
    )
    publish: Publishing = Field(
        default="json",
        description="json; bare (only the value, as mqtt-io does); none (not published)",
    )
    channels: dict[ChannelName, ChannelSection] = Field(
        examples=[{}], default_factory=dict, description="settings of single channels, by name"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return the measured quantities by channel; the name of a single channel is ""."""
        return {"": Quantity()}

    @property
    def holds(self) -> tuple[str, ...]:
        """Devices that only one sensor can use at a time, such as the path of a serial port."""
        return ()

    @property
    def shares(self) -> Mapping[str, str]:
        """Devices that sensors share, with how they are opened: it must be the same for all of them."""
        return {}

    @property
    def remedy(self) -> str:
        """The remedy where its device is absent, such as the line of config.txt that makes it appear."""
        return ""

    @property
    def needs(self) -> Needs:
        """The things that it reads, opens and starts: the sensor worker's walls let nothing else through.

        A driver that does not say may open every device.
        """
        return EVERYTHING

    @property
    def stale_s(self) -> float:
        """The age at which a reading is stale, in s."""
        stale_s = self.stale_after_s or STALE_INTERVALS * self.interval_s + self.deadline_s
        return max(stale_s, self.hold_s)

    def quantity(self, channel: str) -> Quantity:
        """Return the quantity of a channel, with the unit and the class set in the configuration."""
        quantity = self.gives()[channel]
        unit = self.shaping(channel, "unit")
        device_class = self.shaping(channel, "device_class")
        return Quantity(
            quantity.unit if unit is None else unit,
            quantity.device_class if device_class is None else device_class,
            quantity.binary,
            quantity.low,
            quantity.high,
        )

    def conversion(self, channel: str) -> tuple[float, float]:
        """Return the factor and the offset from a channel's unit in the driver to the configured one."""
        found = units.conversion(self.gives()[channel].unit, self.quantity(channel).unit)
        scale, offset = self.shaping(channel, "scale"), self.shaping(channel, "offset")
        if found is None or units.is_by_hand(*found, scale, offset):
            return 1.0, 0.0
        return found

    def shaping(self, channel: str, key: str) -> Any:
        """Return a key of :class:`ChannelSection` for a channel: its own value, else the sensor's."""
        section = self.channels.get(channel)
        own = getattr(section, key) if section is not None else None
        return getattr(self, key) if own is None else own

    @model_validator(mode="after")
    def _channels_exist(self) -> SensorConfig:
        known = self.gives()
        for name in self.channels:
            if name not in known:
                if any(known):
                    message = f"there is no channel '{name}'; available: {', '.join(known)}"
                else:
                    message = "this sensor has only one channel: write its keys beside kind"
                raise wrong(message, "channels", name, "[key]")
        return self

    @model_validator(mode="after")
    def _convertible(self) -> SensorConfig:
        given = self.gives()
        for channel, quantity in given.items():
            wanted = self.quantity(channel).unit
            scaled = self.shaping(channel, "scale") != 1 or self.shaping(channel, "offset") != 0
            what = "" if scaled else units.contradiction(quantity.unit, wanted)
            if what:
                own = channel in self.channels and self.channels[channel].unit is not None
                elsewhere = f" (channel {channel}; units of one channel go below channels)" if channel else ""
                steps = ("channels", channel) if own else ()
                raise wrong(what + ("" if own else elsewhere), *steps, "unit")
        return self

    @model_validator(mode="after")
    def _range(self) -> SensorConfig:
        for channel in ("", *self.channels):
            low, high = self.shaping(channel, "min"), self.shaping(channel, "max")
            if low is not None and high is not None and low > high:
                steps = ("channels", channel) if channel else ()
                raise wrong(f"min ({low:g}) is above max ({high:g})", *steps, "min")
        return self


_registry = Registry("edged.sensors", "sensor", "edged.sensors.drivers")


def kinds() -> list[str]:
    """Return the names of all drivers, bundled and third-party."""
    return _registry.kinds()


def load(kind: str) -> Any:
    """Return the driver module of that kind.

    Raises:
        DriverError: there is no such driver; the message lists the available ones.
    """
    return _registry.load(kind)


def find(root: Path = Path("/")) -> list[Found]:
    """Return the sensors that drivers find on this machine, each with a name of its own.

    Args:
        root: the root of the file system; another one in tests.
    """
    found: dict[str, Found] = {}
    for kind in kinds():
        try:
            driver = load(kind)
        except Exception:  # noqa: BLE001, S112 - a third-party driver may fail in any way
            continue
        for sensor in driver.find(root) if hasattr(driver, "find") else ():
            name = re.sub(r"[^a-z0-9-]+", "-", sensor.name.lower()).strip("-")[:_LONGEST_NAME] or kind
            others = (f"{name}-{number}" for number in itertools.count(2))
            unique = next(
                candidate for candidate in (name, *itertools.islice(others, 999)) if candidate not in found
            )
            found[unique] = Found(unique, sensor.keys)
    return list(found.values())
