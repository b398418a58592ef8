"""When a pipeline may run, and what makes it run: conditions on readings, hours, a switch, a schedule.

A condition is data, never text that is evaluated: ``{sensor: lux, above: 20, below: 500, hysteresis: 2}``.
Pure state machines: readings and times come in, nothing is asked for.

::

    reading ─▶ Condition ─▶ holds | does not | unknown
                  │
                  ├─▶ Gate: open while all of its conditions hold, within its hours, while armed
                  └─▶ Trigger: fires when one of its conditions begins to hold, on order, on schedule

A condition is unknown until a good reading came, and again when the last one is too old. Only a change that
was seen fires a trigger: neither a start nor a sensor that comes back does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY_MINUTES = 24 * 60
_ONCE_S = 12 * 3600.0  # a time of the day comes at most once in this, however the clock is set


@dataclass(frozen=True, slots=True)
class Rule:
    """What is asked of one channel of a sensor.

    Attributes:
        sensor: its name, or ``name/channel`` where it has several.
        above, below: bounds of its value; both may be set.
        equals: a state, or a number.
        hysteresis: how far the value must go back over a bound before the rule no longer holds.
        for_s: how long it must have been so.
        max_age_s: a reading older than this says nothing.
    """

    sensor: str
    above: float | None = None
    below: float | None = None
    equals: float | bool | None = None
    hysteresis: float = 0.0
    for_s: float = 0.0
    max_age_s: float = math.inf


class Condition:
    """Whether a rule holds, one reading after another."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self._within = False
        self._known = False
        self._read_at = -math.inf
        self._fresh_s = rule.max_age_s
        self._since = math.inf  # when it began to be so

    def take(self, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf) -> None:
        """Take a reading of the rule's sensor; one that is not good changes nothing.

        Args:
            value: of the reading.
            good: whether it is worth something.
            now: monotonic time, in s; never less than before.
            fresh_s: for how long the reading says something, where the rule does not say less.
        """
        if not good or value is None:
            return
        if self.holds(now) is None:
            # What was known is too old: hysteresis and duration begin anew.
            self._within, self._since = False, math.inf
        within = self._is_within(value)
        if within and not self._within:
            self._since = now
        self._within, self._known, self._read_at = within, True, now
        self._fresh_s = min(fresh_s, self.rule.max_age_s)

    def holds(self, now: float) -> bool | None:
        """Return whether the rule holds, or None where that is not known."""
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
    """A part of the day by the local clock, in minutes since midnight; it may go over midnight.

    Attributes:
        begin: the first minute in it.
        end: the first minute after it.
    """

    begin: int
    end: int

    def has(self, minute: int) -> bool:
        """Whether a minute of the day is in it. Without length it is the whole day."""
        return (
            self.begin == self.end
            or (minute - self.begin) % DAY_MINUTES < (self.end - self.begin) % DAY_MINUTES
        )


class Gate:
    """Lets a pipeline run while everything that it asks for is so.

    Args:
        rules: all must hold.
        hours: one of these parts of the day must be now; none: any time.
        armed: whether it also asks to be armed.
        if_unknown: whether to run while a condition is not known.
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
        self._asks_to_be_armed = armed
        self._if_unknown = if_unknown
        self._is_armed = False

    def take(
        self, sensor: str, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf
    ) -> None:
        """Take a reading, of whatever sensor."""
        for condition in self._conditions:
            if condition.rule.sensor == sensor:
                condition.take(value, good, now, fresh_s)

    def arm(self, on: bool) -> None:
        """Switch it."""
        self._is_armed = on

    def closed_by(self, now: float, minute: int | None) -> str:
        """Return why it is closed, in a few words; nothing where it is open.

        Args:
            now: monotonic time, in s.
            minute: of the day by the local clock; None while the clock was not set.
        """
        if self._asks_to_be_armed and not self._is_armed:
            return "not armed"
        if self._hours and minute is None and not self._if_unknown:
            return "the time is not known"
        if self._hours and minute is not None and not any(hours.has(minute) for hours in self._hours):
            return "outside of its hours"
        for condition in self._conditions:
            holds = condition.holds(now)
            if holds is None and not self._if_unknown:
                return f"{condition.rule.sensor} is not known"
            if holds is False:
                return f"{condition.rule.sensor} is not as asked"
        return ""


class Trigger:
    """Says when a pipeline is to run.

    Args:
        rules: it fires when one of them begins to hold.
        every_s: it fires so often; 0: never by itself.
        at: it fires at these minutes of the day.
        cooldown_s: after it fired it does not fire for so long.
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
        self._at = dict.fromkeys(at, -math.inf)  # when each time of the day came last
        self._cooldown_s = cooldown_s
        self._fired_at = -math.inf

    def take(
        self, sensor: str, value: float | bool | None, good: bool, now: float, fresh_s: float = math.inf
    ) -> bool:
        """Take a reading, of whatever sensor; return whether it fires."""
        for condition in self._conditions:
            if condition.rule.sensor == sensor:
                condition.take(value, good, now, fresh_s)
        return self._began(now) and self._fire(now)

    def command(self, now: float) -> None:
        """Fire because somebody ordered it, which no cooldown refuses; one begins."""
        self._fired_at = now

    def poll(self, now: float, minute: int | None) -> bool:
        """Return whether it fires by the time that passed.

        Args:
            now: monotonic time, in s.
            minute: of the day by the local clock; None while the clock was not set.
        """
        due = self._began(now)
        if self._every_s:
            if self._next_s is None:
                self._next_s = now + self._every_s
            if now >= self._next_s:
                # On its grid, and once for all that was missed.
                self._next_s += (1 + (now - self._next_s) // self._every_s) * self._every_s
                due = True
        if minute in self._at and now - self._at[minute] >= _ONCE_S:
            self._at[minute] = now
            due = True
        return due and self._fire(now)

    def _began(self, now: float) -> bool:
        """Whether a condition begins to hold that was known not to."""
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
