"""A computed wave: to try edged without a sensor, and the template for your own driver.

To add a driver, copy this file to ``edged/sensors/drivers/NAME.py``. Then ``kind: NAME`` works in the
configuration, in its schema and in ``edged check``, and the conformance test finds it. A driver has four
parts:

1. A docstring, whose first line is the driver's help text.
2. ``Config``: its keys, each with a description that names the unit, and ``gives()``, what it measures.
3. ``create``, which builds the sensor and touches no device, so that ``edged check`` can run anywhere.
4. A class with ``open``, ``read`` and ``close``, and ``wait`` where the device has events. Import vendor
   modules inside ``open``, because the main process loads this file too, for its ``Config``.
"""

from __future__ import annotations

import math
import threading
import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sensors import ChannelName, Finite, Quality, Quantity, Reading, Sensor, SensorConfig
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_FLOOD = 200  # edges returned at once: more than any driver buffers


class Config(SensorConfig):
    """The keys of ``kind: synthetic``."""

    kind: Literal["synthetic"] = Field(default="synthetic", description="the driver: synthetic")
    wave: Literal["sine", "ramp", "square", "constant"] = Field(
        default="sine", description="the shape of the wave between low and high; constant stays at low"
    )
    low: Finite = Field(default=0.0, description="the lowest value")
    high: Finite = Field(default=1.0, description="the highest value")
    period: Annotated[int, Field(ge=2, le=1_000_000)] = Field(
        default=60, description="number of readings in one wave; every wave has the same values"
    )
    axes: Annotated[tuple[ChannelName, ...], Field(max_length=32)] = Field(
        examples=[["x", "y"]],
        default=(),
        description="names of several channels, each one delayed by a part of the wave",
    )
    binary: bool = Field(default=False, description="measure a state: on in the upper half of the wave")
    edge_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.0, description="with binary: change every N seconds, as a door does (0: never)"
    )
    fault: Literal["none", "hang", "vanish", "garbage", "flood", "stuck"] = Field(
        default="none",
        description="fault to simulate after `fault_after` readings: hang (read never "
        "returns), vanish (unplugged), garbage (not a number), flood (with binary: endless edges), stuck",
    )
    fault_after: Annotated[int, Field(ge=0)] = Field(
        default=10, description="number of readings before the fault, counted from each open"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return a number or a state for each axis."""
        return {axis: Quantity(binary=self.binary) for axis in self.axes or ("",)}

    @property
    def needs(self) -> Needs:
        """Nothing."""
        return Needs()


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Synthetic(config)


class Synthetic:
    """A wave that advances with each reading, not with the clock, so that its values are predictable."""

    def __init__(
        self,
        config: Config,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._axes = config.axes or ("",)
        self._monotonic = monotonic
        self._sleep = sleep
        self._number = -1  # the number of the next reading; -1: not open
        self._on = False
        self._edge_at = math.inf

    def open(self) -> None:
        """Start the wave."""
        self._number = 0
        self._on = False
        self._edge_at = self._monotonic() + self._config.edge_s if self._config.edge_s else math.inf

    def read(self) -> Sequence[Reading]:
        """Return the next value of the wave."""
        if self._number < 0:
            raise Unavailable(Reason.LOST, "the synthetic sensor is not open")
        number, fault = self._number, self._fault()
        self._number += 1
        if fault == "hang":
            threading.Event().wait()  # for ever, like a bus that hangs in the kernel
        if fault == "vanish":
            raise Unavailable(Reason.LOST, "the synthetic sensor was unplugged")
        if fault == "garbage":
            return [_garbage(axis, number) for axis in self._axes]
        if fault == "stuck":
            number = self._config.fault_after
        ts, step = clock.wall(), self._config.period / len(self._axes)
        return [Reading(a, self._value(number + round(n * step)), "", ts) for n, a in enumerate(self._axes)]

    def wait(self, timeout_s: float) -> Sequence[Reading]:
        """Return the next change, or nothing after the timeout."""
        if self._number < 0:
            raise Unavailable(Reason.LOST, "the synthetic sensor is not open")
        if self._config.binary and self._fault() == "flood":
            ts = clock.wall()
            return [Reading(self._axes[0], bool(n % 2), "", ts) for n in range(_FLOOD)]
        left = self._edge_at - self._monotonic()
        if left > timeout_s:
            self._sleep(timeout_s)
            return []
        self._sleep(max(0.0, left))
        self._edge_at += self._config.edge_s
        self._on = not self._on
        return [Reading(axis, self._on, "", clock.wall()) for axis in self._axes]

    def close(self) -> None:
        """Stop the wave."""
        self._number = -1

    def _fault(self) -> str:
        return self._config.fault if self._number >= self._config.fault_after else "none"

    def _value(self, number: int) -> float | bool:
        config = self._config
        if config.binary and config.edge_s:
            return self._on
        part = {
            "sine": (1 - math.cos(2 * math.pi * number / config.period)) / 2,
            "ramp": number % config.period / (config.period - 1),
            "square": float(number % config.period * 2 >= config.period),
            "constant": 0.0,
        }[config.wave]
        return part > 0.5 if config.binary else config.low + (config.high - config.low) * part


def _garbage(axis: str, number: int) -> Reading:
    """Return an invalid reading in one of the two ways of real devices: marked as bad, or as a NaN."""
    if number % 2:
        return Reading(axis, math.nan, "", clock.wall())
    return Reading(axis, None, "", clock.wall(), Quality.BAD, "garbage")
