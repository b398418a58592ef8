"""Shapes readings, from the driver's value to the published one.

::

    driver ─▶ unit, scale ─▶ judge (range, stuck, no number) ─▶ seen by triggers and gates
                                                           └──▶ window ─▶ round ─▶ deadband, heartbeat

Pure: times are arguments. A reading that is not a measurement is never ``good`` and carries no number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edged.sensors import Quality, Reading, units

if TYPE_CHECKING:
    from edged.sensors import Quantity, SensorConfig

_SLACK = 1e-9  # 20.3 - 20.1 is a change of 0.2
STALE_UNTIL = 2  # times the age at which a reading is stale: after that it is bad
EDGES = 20  # states published at once, and …
EDGES_PER_S = 10.0  # … again after that: a flood costs no more


@dataclass(frozen=True, slots=True)
class Shaped:
    """The result of one reading.

    Attributes:
        seen: scaled and judged, for triggers and gates; None where the last good one still stands (hold_s).
        published: to be published now; None where it waits for its window, or is not news.
    """

    seen: Reading | None
    published: Reading | None


class Channel:
    """One channel of one sensor.

    Args:
        config: the sensor's configuration.
        name: the channel's name.
    """

    def __init__(self, config: SensorConfig, name: str) -> None:
        self._name = name
        self._quantity: Quantity = config.quantity(name)
        self._factor, self._shift = config.conversion(name)
        self._scale, self._offset = config.shaping(name, "scale"), config.shaping(name, "offset")
        self._low, self._high = config.shaping(name, "min"), config.shaping(name, "max")
        self._decimals: int | None = config.shaping(name, "round")
        self._stuck_after = config.stuck_after
        self._stale_s = config.stale_s
        self._same = 0  # how often the value came in a row
        self._raw: float | bool | None = None  # the value before, as the driver gave it
        self._last: Reading | None = None  # the newest that was seen
        self._last_at = math.inf
        self._opened_ts = 0.0
        self._hold_s = config.hold_s
        self._good_at = -math.inf  # when the newest good one was seen
        self._silence: Quality | None = None  # how the silence since then was reported: stale, then bad
        self._window = _Window(config) if config.aggregate is not None and not self._quantity.binary else None
        deadband = config.shaping(name, "deadband")
        self._gate = _Gate(deadband, config.heartbeat_s, binary=self._quantity.binary)

    def opened(self, now: float, ts: float) -> None:
        """Count silence from now on, where nothing was read yet.

        Args:
            now: monotonic time in s.
            ts: wall time in s.
        """
        if self._last_at == math.inf:
            self._last_at, self._opened_ts = now, ts

    def take(self, reading: Reading, now: float) -> Shaped:
        """Shape one reading.

        Args:
            reading: the driver's reading.
            now: monotonic time in s.
        """
        seen = self._judge(reading)
        if seen.quality is Quality.BAD and now - self._good_at < self._hold_s:
            return Shaped(None, None)
        if seen.quality is Quality.GOOD:
            self._good_at = now
        self._last, self._last_at, self._silence = seen, now, None
        ready = self._window.take(seen, now) if self._window is not None else seen
        if ready is None:
            return Shaped(seen, None)
        ready = self._rounded(ready)
        return Shaped(seen, ready if self._gate.lets(ready, now) else None)

    def tick(self, now: float) -> Reading | None:
        """Return the last reading as stale, once, when no other one has followed for too long; then as bad.

        Where nothing was read since the sensor was opened, it is bad at once.
        """
        silent_s = now - self._last_at
        if silent_s < self._stale_s:
            return None
        due = Quality.BAD if self._last is None or silent_s >= STALE_UNTIL * self._stale_s else Quality.STALE
        if due is self._silence:
            return None
        self._silence = due
        last = self._rounded(self._last) if self._last is not None else self._nothing()
        value = last.value if due is Quality.STALE else None
        silent = replace(last, value=value, quality=due, reason=f"no reading for {silent_s:.0f} s")
        if self._window is not None:
            self._window.clear()
        self._gate.lets(silent, now)
        return silent

    def _nothing(self) -> Reading:
        return Reading(self._name, None, self._quantity.unit, self._opened_ts)

    def _judge(self, reading: Reading) -> Reading:
        """Return the reading in its unit, with its quality."""
        raw, unit = reading.value, self._quantity.unit
        if raw is None or reading.quality is Quality.BAD:
            reason = reading.reason or "no measurement"
            return replace(reading, value=None, unit=unit, quality=Quality.BAD, reason=reason)
        if self._quantity.binary:
            return replace(reading, value=bool(raw), unit=unit)
        number = float(raw)
        value = number
        if (self._factor, self._shift, self._scale, self._offset) != (1.0, 0.0, 1.0, 0.0):
            value = units.tidy((number * self._factor + self._shift) * self._scale + self._offset)
        reason, quality = self._doubt(number, value)
        if not reason:
            return replace(reading, value=value, unit=unit)
        if quality is Quality.BAD:
            return replace(reading, value=None, unit=unit, quality=quality, reason=reason)
        return replace(reading, value=value, unit=unit, quality=quality, reason=reason)

    def _doubt(self, raw: float, value: float) -> tuple[str, Quality]:
        """Return why a number is not good, or "", and its quality."""
        if not math.isfinite(value):
            return "not a number", Quality.BAD
        if beyond := _beyond(raw, self._quantity.low, self._quantity.high):
            return f"{raw:g} is {beyond}: the sensor cannot measure that", Quality.BAD
        self._same = self._same + 1 if raw == self._raw else 1
        self._raw = raw
        if beyond := _beyond(value, self._low, self._high):
            return beyond, Quality.SUSPECT
        if self._stuck_after and self._same >= self._stuck_after:
            return f"the same value for {self._stuck_after} readings", Quality.SUSPECT
        return "", Quality.GOOD

    def _rounded(self, reading: Reading) -> Reading:
        if self._decimals is None or reading.value is None or isinstance(reading.value, bool):
            return reading
        return replace(reading, value=round(reading.value, self._decimals) + 0.0)  # and no -0.0


def _beyond(value: float, low: float | None, high: float | None) -> str:
    """Return on which side of its range a value is; empty where it is inside."""
    if low is not None and value < low:
        return f"below {low:g}"
    return f"above {high:g}" if high is not None and value > high else ""


class _Window:
    """Collects readings for a time and combines them.

    Only good readings count; where there are none, the last one represents the window, with its quality.
    """

    def __init__(self, config: SensorConfig) -> None:
        aggregate = config.aggregate
        if aggregate is None:
            raise ValueError("no aggregate is configured")
        self._how = aggregate.how
        self._length_s = aggregate.window_s
        self._ends = math.inf
        self.clear()

    def clear(self) -> None:
        """Forget the collected readings."""
        self._ends = math.inf
        self._count = 0
        self._value = 0.0
        self._newest: Reading | None = None

    def take(self, reading: Reading, now: float) -> Reading | None:
        """Add a reading; return the combined one where the window ends with it."""
        if self._ends == math.inf:
            self._ends = now + self._length_s
        if reading.quality is Quality.GOOD and reading.value is not None:
            self._add(float(reading.value))
            self._newest = reading
        elif not self._count:
            self._newest = reading
        if now < self._ends - _SLACK:
            return None
        newest, value, count = self._newest, self._value, self._count
        self.clear()
        self._ends = now + self._length_s
        if newest is None or not count:
            return newest
        return replace(newest, value=value)

    def _add(self, value: float) -> None:
        self._count += 1
        if self._count == 1 or self._how == "last":
            self._value = value
        elif self._how == "mean":
            # Divided first: the sum of two large numbers may be infinite.
            self._value += value / self._count - self._value / self._count
        elif self._how == "min":
            self._value = min(self._value, value)
        else:
            self._value = max(self._value, value)


class _Gate:
    """Passes readings that are news: another quality, a change, or the first for too long."""

    def __init__(self, deadband: float, heartbeat_s: float, *, binary: bool) -> None:
        self._deadband = deadband
        self._heartbeat_s = heartbeat_s
        self._binary = binary
        self._sent: Reading | None = None
        self._sent_at = 0.0
        self._tokens = float(EDGES)
        self._filled_at = -math.inf

    def lets(self, reading: Reading, now: float) -> bool:
        """Return whether to publish a reading; if so, the next one is compared with it."""
        if not self._is_news(reading, now) or (self._binary and not self._may(now)):
            return False
        self._sent, self._sent_at = reading, now
        return True

    def _is_news(self, reading: Reading, now: float) -> bool:
        sent = self._sent
        if sent is None or reading.quality is not sent.quality:
            return True
        if self._heartbeat_s and now - self._sent_at >= self._heartbeat_s - _SLACK:
            return True
        if reading.value is None or sent.value is None:
            return reading.reason != sent.reason or not (self._binary or self._deadband)
        if self._binary:
            return reading.value != sent.value
        return abs(reading.value - sent.value) >= self._deadband - _SLACK

    def _may(self, now: float) -> bool:
        """Return whether a state may be published: a burst, then a bounded rate."""
        if self._filled_at > -math.inf:
            self._tokens = min(float(EDGES), self._tokens + (now - self._filled_at) * EDGES_PER_S)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
