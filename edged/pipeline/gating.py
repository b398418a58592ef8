"""Gate and trigger of a pipeline: conditions on readings, hours of the day, arming, and a schedule.

A condition is data, never an expression to evaluate: ``{sensor: lux, above: 20, below: 500, hysteresis: 2}``.
These are pure state machines, which are given readings and times.

::

    reading ─▶ Condition ─▶ holds | does not hold | unknown
                  │
                  ├─▶ Gate: open while all its conditions hold, within its hours, and armed
                  └─▶ Trigger: fires when one of its conditions starts to hold, on command, on schedule
    level of a window of sound ─▶ Loudness: loud | quiet

A condition is unknown until the first good reading, and again when the last one is too old. A trigger fires
only on an observed change: not at a start, and not when a sensor comes back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAY_MINUTES = 24 * 60
_NOT_ARMED, _NO_TIME, _OUTSIDE = "not armed", "the time is unknown", "outside its hours"
QUIET = "it is quiet"
_ONCE_S = 12 * 3600.0  # minimum between two firings of one time of the day, however the clock is set


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule for the value of one sensor channel.

    Attributes:
        sensor: the sensor's name, or ``name/channel`` where it has several channels.
        above, below: bounds of the value; both may be set.
        equals: a state or a number that the value must equal.
        hysteresis: the value must move back past a bound by this much before the rule no longer holds.
        for_s: the minimum time that the value must have met the rule.
        max_age_s: the age at which a reading is ignored.
    """

    sensor: str
    above: float | None = None
    below: float | None = None
    equals: float | bool | None = None
    hysteresis: float = 0.0
    for_s: float = 0.0
    max_age_s: float = math.inf


class Condition:
    """The state of a rule, updated with each reading."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._within = False
        self._known = False
        self._read_at = -math.inf
        self._fresh_s = rule.max_age_s
        self._since = math.inf  # when the value began to meet the rule

    def take(self, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf) -> None:
        """Take a reading of the rule's sensor; one that is not good changes nothing.

        Args:
            value: the reading's value.
            good: whether the reading's quality is good.
            now: monotonic time, in s; never less than before.
            fresh_s: the age at which the reading is ignored, unless the rule's is lower.
        """
        if not good or value is None:
            return
        if self.holds(now) is None:
            # The previous reading is too old: hysteresis and duration start again.
            self._within, self._since = False, math.inf
        within = self._is_within(value)
        if within and not self._within:
            self._since = now
        self._within, self._known, self._read_at = within, True, now
        self._fresh_s = min(fresh_s, self.rule.max_age_s)

    def holds(self, now: float) -> bool | None:
        """Return whether the rule holds; None where that is unknown."""
        if not self._known or now - self._read_at > self._fresh_s:
            return None
        return self._within and now - self._since >= self.rule.for_s

    def _is_within(self, value: float | bool) -> bool:
        rule = self.rule
        slack = rule.hysteresis if self._within else 0.0
        if rule.equals is not None and not _equal(value, rule.equals, slack):
            return False
        if rule.above is not None and not value > rule.above - slack:
            return False
        return rule.below is None or value < rule.below + slack


@dataclass(frozen=True, slots=True)
class Hours:
    """A part of the day in local time, in minutes since midnight; it may cross midnight.

    Attributes:
        begin: the first minute in it.
        end: the first minute after it.
    """

    begin: int
    end: int

    def has(self, minute: int) -> bool:
        """Return whether a minute of the day is inside. If begin equals end, it is the whole day."""
        return (
            self.begin == self.end
            or (minute - self.begin) % DAY_MINUTES < (self.end - self.begin) % DAY_MINUTES
        )


class Gate:
    """The gate of a pipeline, which may run only while it is open.

    Args:
        rules: all of them must hold.
        hours: the current time must be in one of these; empty: any time.
        armed: whether it must also be armed.
        if_unknown: whether to stay open while a condition or the time is unknown.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        *,
        hours: Sequence[Hours] = (),
        armed: bool = False,
        if_unknown: bool = False,
    ) -> None:
        self._conditions = [Condition(rule) for rule in rules]
        self._hours = tuple(hours)
        self._needs_arming = armed
        self._if_unknown = if_unknown
        self._is_armed = False

    def take(
        self, sensor: str, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf
    ) -> None:
        """Take a reading of any sensor."""
        for condition in self._conditions:
            if condition.rule.sensor == sensor:
                condition.take(value, good, now, fresh_s)

    def arm(self, on: bool) -> None:
        """Arm or disarm the gate."""
        self._is_armed = on

    def closed_by(self, now: float, minute: int | None) -> str:
        """Return why it is closed, as a clause; empty where it is open.

        Args:
            now: monotonic time, in s.
            minute: the minute of the day in local time; None while the clock is not set.
        """
        if self._needs_arming and not self._is_armed:
            return _NOT_ARMED
        if self._hours and minute is None and not self._if_unknown:
            return _NO_TIME
        if self._hours and minute is not None and not any(hours.has(minute) for hours in self._hours):
            return _OUTSIDE
        for condition in self._conditions:
            holds = condition.holds(now)
            if holds is None and not self._if_unknown:
                return _unknown(condition.rule.sensor)
            if holds is False:
                return _fails(condition.rule.sensor)
        return ""


class Loudness:
    """Tells loud sound from silence.

    Args:
        above_dbfs: sound above this level is loud.
        hold_s: what follows loud sound within this time passes too, in s: an alarm has pauses.
    """

    def __init__(self, above_dbfs: float, hold_s: float) -> None:
        self._above_dbfs = above_dbfs
        self._hold_s = hold_s
        self._loud_at = self._heard_at = -math.inf

    def passes(self, level_dbfs: float, at: float) -> bool:
        """Return whether a window of sound may be classified.

        Args:
            level_dbfs: how loud it is.
            at: the time of its end, in s; less than before: the source was opened again.
        """
        if at < self._heard_at:
            self._loud_at = -math.inf
        self._heard_at = at
        if level_dbfs > self._above_dbfs:
            self._loud_at = at
        return at - self._loud_at <= self._hold_s


def clauses(sensors: Iterable[str]) -> frozenset[str]:
    """Return every clause that :meth:`Gate.closed_by` may return for a gate on these sensors."""
    of_sensors = chain.from_iterable((_unknown(sensor), _fails(sensor)) for sensor in sensors)
    return frozenset({_NOT_ARMED, _NO_TIME, _OUTSIDE, QUIET, *of_sensors})


def _unknown(sensor: str) -> str:
    return f"{sensor} is unknown"


def _fails(sensor: str) -> str:
    return f"the condition on {sensor} does not hold"


class Trigger:
    """The trigger of a pipeline, which classifies each time it fires.

    Args:
        rules: it fires when one of them starts to hold.
        every_s: it also fires at this interval; 0: off.
        at: it also fires at these minutes of the day.
        cooldown_s: the minimum time between two firings.
    """

    def __init__(
        self,
        rules: Sequence[Rule] = (),
        *,
        every_s: float = 0.0,
        at: Sequence[int] = (),
        cooldown_s: float = 0.0,
    ) -> None:
        self._conditions = [Condition(rule) for rule in rules]
        self._held: list[bool | None] = [None] * len(self._conditions)
        self._every_s = every_s
        self._next_s: float | None = None
        self._at = dict.fromkeys(at, -math.inf)  # when each time of the day last fired
        self._cooldown_s = cooldown_s
        self._fired_at = -math.inf

    def take(
        self, sensor: str, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf
    ) -> bool:
        """Take a reading of any sensor; return whether it fires."""
        for condition in self._conditions:
            if condition.rule.sensor == sensor:
                condition.take(value, good, now, fresh_s)
        return self._began(now) and self._fire(now)

    def command(self, now: float) -> None:
        """Note that it fired on command, which ignores the cooldown but starts a new one."""
        self._fired_at = now

    def poll(self, now: float, minute: int | None) -> bool:
        """Return whether it fires because of the time.

        Args:
            now: monotonic time, in s.
            minute: the minute of the day in local time; None while the clock is not set.
        """
        due = self._began(now)
        if self._every_s:
            if self._next_s is None:
                self._next_s = now + self._every_s
            if now >= self._next_s:
                # Stay on the grid, and fire once for all missed intervals.
                self._next_s += (1 + (now - self._next_s) // self._every_s) * self._every_s
                due = True
        if minute in self._at and now - self._at[minute] >= _ONCE_S:
            self._at[minute] = now
            due = True
        return due and self._fire(now)

    def _began(self, now: float) -> bool:
        """Return whether a condition now holds that was known not to hold."""
        held = [condition.holds(now) for condition in self._conditions]
        began = any(before is False and after is True for before, after in zip(self._held, held, strict=True))
        self._held = held
        return began

    def _fire(self, now: float) -> bool:
        if now - self._fired_at < self._cooldown_s:
            return False
        self._fired_at = now
        return True


def _equal(value: float | bool, wanted: float | bool, slack: float) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return bool(value) == bool(wanted)
    return abs(value - wanted) <= slack
