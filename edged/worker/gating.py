"""A pipeline's gate and trigger, which decide from the readings page whether it may classify now."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from edged.events import Attached
from edged.pipeline.gating import Gate, Trigger
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.config.gating import GateSection, TriggerSection
    from edged.ipc.readings_page import Reader, Record

POLL_S = 0.02  # between two looks; a shorter pulse shows in the count of rises
SET_S = 1735689600.0  # the year 2025: a clock that is earlier was never set


class Verdict(NamedTuple):
    """The result of a look.

    Attributes:
        go: classify a frame.
        held_by: what closes the gate, in a few words; empty where it is open.
    """

    go: bool
    held_by: str


class Pause(NamedTuple):
    """The gate closed; nothing is seen until it opens."""


class GateNews:
    """Reports what keeps a pipeline from judging, once for each change; for one thread.

    Args:
        held: takes what closes the gate, in a few words; empty where it is open and nothing is judged yet.
        deliver: takes a pause when the gate closes.

    Attributes:
        told: what was reported last; None: nothing, since the source is away.
    """

    def __init__(self, held: Callable[[str], object], deliver: Callable[[Pause], object]) -> None:
        self._held = held
        self._deliver = deliver
        self.told: str | None = None

    def tell(self, by: str) -> None:
        """Report it where it is news."""
        if by == self.told:
            return
        self.told = by
        self._held(by)
        if by:
            self._deliver(Pause())

    def forget(self) -> None:
        """Note that the source is away: whatever holds when it is back is news."""
        self.told = None


class PipelineGate:
    """Looks at the readings page for one pipeline; for one thread.

    Args:
        gate, trigger: their configuration.
        reader: reads the readings page; None where no sensor is needed.
        attach: the channels whose readings go with an event.
        armed: the gate is armed, where it needs to be.
        wall: returns the seconds since 1970.
        localtime: converts these seconds.
    """

    def __init__(
        self,
        gate: GateSection | None,
        trigger: TriggerSection | None,
        reader: Reader | None,
        *,
        attach: Sequence[str] = (),
        armed: bool = False,
        wall: Callable[[], float] = clock.wall,
        localtime: Callable[[float], time.struct_time] = time.localtime,
    ) -> None:
        self._gate = Gate()
        self._trigger: Trigger | None = None
        self._loudness = gate.loudness() if gate is not None else None
        conditions = [*(gate.conditions if gate else ()), *(trigger.conditions if trigger else ())]
        if gate is not None:
            rules = [condition.rule() for condition in gate.conditions]
            self._gate = Gate(
                rules, hours=gate.parts(), armed=gate.armed, if_unknown=gate.if_unknown == "run"
            )
        self._gate.arm(armed)
        if trigger is not None:
            self._trigger = Trigger(
                [condition.rule() for condition in trigger.conditions],
                every_s=trigger.every_s,
                at=trigger.minutes(),
                cooldown_s=trigger.cooldown_s,
            )
        self._frames = trigger.frames if trigger is not None else 0
        self._ordered = threading.Event()  # set by main, in another thread
        self._left = 0  # frames that may pass before the next trigger
        self._reader = reader
        self._attach = tuple(attach)
        self._seen: dict[str, Record | None] = dict.fromkeys(c.sensor for c in conditions)
        self._wall = wall
        self._localtime = localtime

    @property
    def frames(self) -> int:
        """Return how many frames a trigger lets pass; 0: there is no trigger."""
        return self._frames

    def look(self, now: float) -> Verdict:
        """Look at everything once; a verdict to go is for one frame.

        Args:
            now: monotonic time, in s.
        """
        minute = self._minute()
        fired = self._read()
        held_by = self._gate.closed_by(now, minute)
        if self._trigger is None:
            return Verdict(not held_by, held_by)
        fired = self._trigger.poll(now, minute) or fired
        if self._ordered.is_set():
            self._ordered.clear()
            self._trigger.command(now)
            fired = True
        if held_by:
            self._left = 0  # a trigger that fires while the gate is closed is lost
            return Verdict(False, held_by)
        if fired:
            self._left = self._frames
        self._left -= 1
        go = self._left >= 0
        self._left = max(0, self._left)
        return Verdict(go, "")

    def hears(self, level_dbfs: float | None, at: float) -> bool:
        """Return whether a window is loud enough; what has no level always is.

        Args:
            level_dbfs: how loud it is.
            at: the time of its end since the source was opened, in s.
        """
        return self._loudness is None or level_dbfs is None or self._loudness.passes(level_dbfs, at)

    def obey(self, verb: str) -> None:
        """Carry out an MQTT command, from any thread: ``infer``, ``arm``, ``disarm``."""
        if verb == "infer":
            self._ordered.set()
        else:
            self._gate.arm(verb == "arm")

    def attached(self, now: float) -> tuple[Attached, ...]:
        """Return the readings that go with a frame; a channel that was never read has none.

        Args:
            now: monotonic time, in s.
        """
        reader = self._reader
        records = [reader.get(name) for name in self._attach] if reader is not None else []
        return tuple(
            Attached(r.name, r.value, r.unit, _quality(r, now), max(0.0, now - r.at))
            for r in records
            if r is not None
        )

    def _minute(self) -> int | None:
        """Return the minute of the day; None while the clock is not set."""
        wall = self._wall()
        if wall < SET_S:
            return None
        local = self._localtime(wall)
        return local.tm_hour * 60 + local.tm_min

    def _read(self) -> bool:
        """Feed new readings to the gate and the trigger; return whether the trigger fires."""
        if self._reader is None:
            return False
        fired = False
        for name, before in self._seen.items():
            record = self._reader.get(name)
            if record is None or (before is not None and record.count == before.count):
                continue
            self._seen[name] = record
            for value in _values(record, before):
                self._gate.take(name, value, record.good, record.at, record.fresh_s)
                if self._trigger is not None:
                    fired |= self._trigger.take(name, value, record.good, record.at, record.fresh_s)
        return fired


def _quality(record: Record, now: float) -> str:
    return "stale" if record.good and now - record.at > record.fresh_s else record.quality


def _values(record: Record, before: Record | None) -> list[float | bool | None]:
    """Return the values since the record before: a state may have changed there and back."""
    value = record.value
    rose = before is not None and record.count > before.count and record.rises > before.rises
    if isinstance(value, bool) and rose and before is not None:
        if not value:
            return [True, False]
        if before.value:
            return [False, True]
    return [value]
