"""Sensors: where readings come from. This file is the contract; each driver is one file beside it.

``kind: hwmon`` in the configuration loads the module ``edged.sensors.drivers.hwmon`` (or, for others'
drivers, the entry point ``hwmon`` of the group ``edged.sensors``), which exposes

* ``Config``, a pydantic model (a subclass of :class:`edged.sensors.SensorConfig`) whose field descriptions
  are its reference page, and whose ``gives()`` says what it will read: known from the configuration alone,
  so that topics and Home Assistant's entities are the same whether the device is there or not, and
* ``create(config) -> Sensor``, which does no I/O: ``edged check`` calls it on any laptop.

The module imports nothing heavy at its top, and numpy never: a process with fifty sensors stays small. Vendor
modules are imported inside ``open()``. The first line of a driver's docstring is its help line.

Contract of a Sensor, held by one conformance test over every driver:

* ``open()`` touches the device. It raises ``Unavailable`` (device away, busy, denied) or ``DriverError``
  (package missing, with the command that installs it).
* ``read()`` measures now and gives one Reading for each channel of ``gives()``. What it could not measure
  this time but may the next (a checksum, a bus error) is a reading of quality ``bad`` with the reason; a
  device that went away is ``Unavailable``: the runner closes, backs off and opens again. A driver never says
  ``stale``, and knows nothing of scale, range or deadband: that is the runner's business (``_shaping``).
* ``close()`` gives everything back; it may be called twice, and before ``open()``.
* One thread calls all of them, and a call may block: each sensor has its own thread and its own deadline.

A driver that needs a vendor's package also has a function ``library()``, which imports and returns it, or
raises ``DriverError``: ``edged doctor`` asks it, in a process of its own.

A sensor that has events beside its state (a gpio line) also has ``wait(timeout_s)``, see :class:`EdgeSensor`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol, runtime_checkable

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from edged.drivers import Registry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHANNEL = r"^[a-z0-9_]{1,32}$"
STALE_INTERVALS = 3  # a reading is stale after so many intervals, where nothing is written
_TAKEN = frozenset({"state", "availability"})  # levels of a sensor's topic


class Quality(enum.StrEnum):
    """What a reading is worth."""

    GOOD = "good"
    STALE = "stale"  # it was good, and nothing came after it
    SUSPECT = "suspect"  # a number, but out of its range, or stuck
    BAD = "bad"  # no measurement: not a number, a checksum, a bus error


@dataclass(frozen=True, slots=True)
class Reading:
    """One measurement.

    Attributes:
        channel: which of the sensor's; "" where it has one only.
        value: a number, a state, or None where there is none. NaN and infinities are never ``good``.
        unit: as people write it: °C, %, hPa, lx, ppm; "" for a state or a bare number.
        ts: wall time of the measurement, seconds since 1970.
        quality: what it is worth.
        reason: why it is not good, in a few words.
    """

    channel: str
    value: float | bool | None
    unit: str
    ts: float
    quality: Quality = Quality.GOOD
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """What a channel measures.

    Attributes:
        unit: of its readings.
        device_class: Home Assistant's word for it; "" where it has none.
        binary: a state, on or off, not a number.
        low, high: what the hardware can measure at all; a value beyond is ``bad``.
    """

    unit: str = ""
    device_class: str = ""
    binary: bool = False
    low: float | None = None
    high: float | None = None


class Sensor(Protocol):
    """Gives readings when asked."""

    def open(self) -> None:
        """Touch the device. Raises ``Unavailable`` or ``DriverError``."""

    def read(self) -> Sequence[Reading]:
        """Measure now. Raises ``Unavailable`` where the device went away."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


@runtime_checkable
class EdgeSensor(Protocol):
    """What a sensor with events has beside ``open``, ``read`` and ``close``."""

    def wait(self, timeout_s: float) -> Sequence[Reading]:
        """Return what happened since the last call, oldest first; wait at most ``timeout_s`` for the first.

        ``ts`` is the kernel's time of the edge. Of a flood the runner takes the first and the newest. Raises
        ``Unavailable``.
        """


def _free(name: str) -> str:
    if name in _TAKEN:
        raise ValueError(f"'{name}' is a level of the sensor's topic; take another name")
    return name


ChannelName = Annotated[str, StringConstraints(pattern=CHANNEL), AfterValidator(_free)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Decimals = Annotated[int, Field(ge=0, le=9)]
Unit = Annotated[str, StringConstraints(max_length=16)]
DeviceClass = Annotated[str, StringConstraints(max_length=40, pattern=r"^[a-z0-9_]*$")]
Publishing = Literal["json", "bare", "none"]


class Block(BaseModel):
    """A block of a sensor's configuration. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Aggregate(Block):
    """Several readings made one."""

    window_s: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)] = Field(
        examples=[60], description="time over which readings are gathered, in s"
    )
    how: Literal["mean", "min", "max", "last"] = Field(
        default="mean", description="what is published of them"
    )


class ChannelSection(Block):
    """What is different for one channel of a sensor that has several."""

    unit: Unit | None = Field(default=None, description="instead of the driver's")
    device_class: DeviceClass | None = Field(
        default=None, description="Home Assistant's; instead of the driver's"
    )
    scale: Finite | None = Field(default=None, description="multiply by this …")
    offset: Finite | None = Field(default=None, description="… then add this")
    min: Finite | None = Field(default=None, description="a value below is suspect; after scale and offset")
    max: Finite | None = Field(default=None, description="a value above is suspect; after scale and offset")
    round: Decimals | None = Field(default=None, description="decimals to publish")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        default=None, description="publish only changes of at least so much"
    )
    publish: Publishing | None = Field(default=None, description="json, bare (only the value) or none")


class SensorConfig(Block):
    """The keys that every sensor has; a driver's ``Config`` adds its own."""

    kind: str = Field(description="the driver: the name of its module")
    interval_s: Annotated[float, Field(ge=0.01, le=86400, allow_inf_nan=False)] = Field(
        default=10.0, description="time between two readings, in s"
    )
    deadline_s: Annotated[float, Field(ge=0.1, le=600, allow_inf_nan=False)] = Field(
        default=5.0, description="a reading that takes longer counts as hung, in s"
    )
    unit: Unit | None = Field(examples=["°F"], default=None, description="instead of the driver's")
    device_class: DeviceClass | None = Field(
        examples=["temperature"], default=None, description="Home Assistant's; instead of the driver's"
    )
    scale: Finite = Field(default=1.0, description="multiply by this …")
    offset: Finite = Field(default=0.0, description="… then add this")
    min: Finite | None = Field(
        examples=[-40], default=None, description="a value below is suspect; after scale and offset"
    )
    max: Finite | None = Field(
        examples=[85], default=None, description="a value above is suspect; after scale and offset"
    )
    stuck_after: Annotated[int, Field(ge=0, le=100000)] = Field(
        default=0, description="so many equal values in a row are suspect; 0: never"
    )
    stale_after_s: Annotated[float, Field(gt=0, le=864000, allow_inf_nan=False)] | None = Field(
        examples=[60],
        default=None,
        description="without a new reading it is stale, in s; default: 3 intervals",
    )
    aggregate: Aggregate | None = Field(
        examples=[{"window_s": 60, "how": "mean"}],
        default=None,
        description="publish the mean, min, max or last of a window instead of each reading",
    )
    round: Decimals | None = Field(examples=[1], default=None, description="decimals to publish")
    deadband: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0.0, description="publish only changes of at least so much; 0: every reading"
    )
    heartbeat_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0, description="publish at least so often, in s; 0: only changes"
    )
    publish: Publishing = Field(
        default="json",
        description="json; bare (only the value, as mqtt-io does); none (it stays in this process)",
    )
    channels: dict[ChannelName, ChannelSection] = Field(
        examples=[{}], default_factory=dict, description="what is different for single channels, by name"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return what is measured, by channel; one channel alone is called ""."""
        return {"": Quantity()}

    @property
    def holds(self) -> tuple[str, ...]:
        """What no second sensor can have at the same time, such as the path of a serial port."""
        return ()

    @property
    def stale_s(self) -> float:
        """After how long without a reading the last one is stale, in s."""
        return self.stale_after_s or STALE_INTERVALS * self.interval_s + self.deadline_s

    def quantity(self, channel: str) -> Quantity:
        """Return what a channel measures, with the unit and the class that the configuration gives it."""
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

    def shaping(self, channel: str, key: str) -> Any:
        """Return the value of a key of :class:`ChannelSection` for a channel: its own, else the sensor's."""
        section = self.channels.get(channel)
        own = getattr(section, key) if section is not None else None
        return getattr(self, key) if own is None else own

    @model_validator(mode="after")
    def _channels_exist(self) -> SensorConfig:
        known = self.gives()
        for name in self.channels:
            if name not in known:
                there = ", ".join(known) if any(known) else "none: its keys stand beside kind"
                raise wrong(f"there is no channel '{name}'; there are {there}", "channels", name, "[key]")
        return self

    @model_validator(mode="after")
    def _range(self) -> SensorConfig:
        for channel in ("", *self.channels):
            low, high = self.shaping(channel, "min"), self.shaping(channel, "max")
            if low is not None and high is not None and low > high:
                steps = ("channels", channel) if channel else ()
                raise wrong(f"min ({low:g}) is above max ({high:g})", *steps, "min")
        return self


def wrong(message: str, *steps: str) -> PydanticCustomError:
    """Return the error of a validator that points at what these steps lead to."""
    return PydanticCustomError("consistency", "{message}", {"steps": steps, "message": message})


_registry = Registry("edged.sensors", "sensor", "edged.sensors.drivers")


def kinds() -> list[str]:
    """Return the names of all drivers: those of this package and those that others registered."""
    return _registry.kinds()


def load(kind: str) -> Any:
    """Return the driver module of that kind.

    Raises:
        DriverError: there is no such driver; the message lists those that exist.
    """
    return _registry.load(kind)
