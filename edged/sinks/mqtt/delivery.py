"""Delivery: which rows of the spool go out next, and what becomes of them.

After an outage two streams share the connection: the backlog, oldest first, and what happens now, which need
not wait behind it. One place in ``SHARE`` goes to fresh rows, the others to the backlog; once that is drained
there is one stream again. Both keep their order. With ``strict`` there is one stream all the time, and one
row of it in flight.
"""

from __future__ import annotations

import json
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from edged.sinks.mqtt.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from edged.spool import Row, Spool

SHARE = 4  # one place in this many goes to fresh rows
# The wait before rows that the application did not confirm are sent again; doubled each time. Short enough
# for a consumer that came late, and that waits 10 minutes for what it missed before it passes that over.
UNCONFIRMED_S, LONGEST_S = 60.0, 240.0
FLUSH_S = 0.5  # in which a broker has written what it acknowledged, on a slow card too
_TOGETHER_S = 0.1  # rows are settled in groups
_MAX_CONFIRMATION = 256  # bytes


class Delivery:
    """Takes rows from the spool for the sink, and settles them there. Times are monotonic, in s.

    Attributes:
        left_out: pipelines whose rows are not to be sent for now.

    Args:
        spool: where events wait.
        strict: one row at a time, and none before an older one.
        confirm: a row that the broker has stays in the spool until the application confirms it.
        silence_s: the time after which a connection without a sign of life is given up.
    """

    def __init__(
        self, spool: Spool, *, strict: bool = False, confirm: bool = False, silence_s: float = 30.0
    ) -> None:
        self._spool = spool
        self._recent = RecentAcks(silence_s)
        self._strict = strict
        self._confirm = confirm
        self._refusals = Refusals()
        self._out: dict[int, Row] = {}  # sent and not answered, by sequence
        self._epoch = spool.epoch
        self._before = 0  # rows up to this sequence waited for the connection
        self._backlog = False  # there may be such rows
        self._credit = 0  # places given to the backlog since one went to a fresh row, at most SHARE - 1
        self.left_out: Collection[str] = ()  # pipelines whose rows are not to be sent
        self._confirmed = 0  # the highest sequence of this epoch
        self._patience_s = UNCONFIRMED_S
        self._again_at: float | None = None

    @property
    def wake_at(self) -> float | None:
        """The time at which there is something to do that no answer brings about."""
        times = [at for at in (self._refusals.wake_at, self._again_at) if at is not None]
        return min(times, default=None)

    def connected(self) -> None:
        """Begin a connection: everything that waits goes out, also what only the last broker had."""
        if self._confirm:
            self._spool.requeue_delivered()
        self._patience_s, self._again_at = UNCONFIRMED_S, None
        self._begin_backlog()

    def disconnected(self, now: float, *, by_broker: bool = False) -> None:
        """Give everything in flight back to the spool; ``by_broker``: a broker ended it in order."""
        safe, unsafe = self._recent.lost(now, by_broker=by_broker)
        self._spool.settled(safe)
        self._spool.recalled(unsafe)
        self._spool.released([*self._out, *self._refusals.release()])
        self._out.clear()
        self._again_at = None

    def waited(self, row: Row) -> bool:
        """Return whether a row is a replay: it is sent again, or waited for the connection."""
        return row.waited or row.sequence <= self._before

    def take(self, places: int, now: float) -> Sequence[Row]:
        """Hand out at most ``places`` rows to be sent now."""
        self._follow_epoch()
        self._send_again(now)
        if self._strict:
            places = min(places, 1 - len(self._out))
        rows = self._offered_again(places, now)
        room = places - len(rows)
        if room > 0 and not (self._strict and len(self._refusals)):
            fresh = self._fresh(room)
            rows += [*fresh, *self._old(room - len(fresh), len(fresh))]
        self._out |= {row.sequence: row for row in rows}
        return sorted(rows, key=lambda row: row.sequence)

    def accepted(self, row: Row | None, now: float) -> None:
        """Note that the broker has a row, or (None) a retained value."""
        shut = self._refusals.shut
        self._refusals.accepted(row, now)
        self._backlog |= shut != self._refusals.shut  # what was left out in the meantime is old now
        if safe := self._recent.settled(now):
            self._spool.settled(safe)
        if row is None:
            return
        self._out.pop(row.sequence, None)
        if not self._confirm:
            self._spool.acknowledged(row.sequence, keep=True)
            self._recent.add(row.sequence, now)
            return
        self._spool.delivered(row.sequence)
        if self._again_at is None:
            self._again_at = now + self._patience_s

    def refused(self, row: Row, code: int, now: float) -> bool:
        """Note that the broker refused a row; return whether the row is given up for good."""
        self._out.pop(row.sequence, None)
        if not self._refusals.refused(row, code, now):
            return False
        self._spool.refused(row.sequence)
        return True

    def give_up(self, row: Row) -> None:
        """Drop a row that the broker could never take."""
        self._out.pop(row.sequence, None)
        self._spool.refused(row.sequence)

    def confirm(self, payload: bytes, *, retained: bool, now: float) -> bool:
        """Apply a confirmation of the application; return whether it means something here."""
        self._follow_epoch()
        confirmation = Confirmation.parse(payload)
        if confirmation is None or not self._confirm or confirmation.sequence > self._spool.last:
            return False
        # A bare number that the broker kept may belong to an epoch that is over.
        if confirmation.epoch != self._spool.epoch and (confirmation.epoch is not None or retained):
            return False
        if confirmation.sequence > self._confirmed:
            self._spool.confirmed(confirmation.sequence)
            self._confirmed, self._patience_s = confirmation.sequence, UNCONFIRMED_S
            self._again_at = now + self._patience_s
        return True

    def _follow_epoch(self) -> None:
        """Forget what was confirmed where the spool had to begin a new epoch: those ids are over."""
        if self._epoch != self._spool.epoch:
            self._epoch, self._confirmed = self._spool.epoch, 0

    def _begin_backlog(self) -> None:
        self._before, self._backlog, self._credit = self._spool.last, True, 0

    def _send_again(self, now: float) -> None:
        """Send what the application did not confirm in time, less and less often while it is silent."""
        if self._again_at is None or now < self._again_at:
            return
        self._again_at = None
        self._patience_s = min(LONGEST_S, self._patience_s * 2)
        if self._spool.requeue_delivered():
            self._begin_backlog()

    def _offered_again(self, places: int, now: float) -> list[Row]:
        rows = []
        for row in self._refusals.due(now, places):
            if row.left_s is not None and row.left_s <= 0:
                self._spool.released([row.sequence])  # too old by now, which is the spool's to count
            else:
                rows.append(row)
        return rows

    @property
    def _shut(self) -> frozenset[str]:
        return self._refusals.shut.union(self.left_out)

    def _fresh(self, room: int) -> Sequence[Row]:
        """Take rows accepted since the connection was made, as far as their share of the places goes."""
        share = (self._credit + room) // SHARE
        if self._strict or not self._backlog or not share:
            return ()
        return self._spool.pending(share, after=self._before, without=self._shut)

    def _old(self, room: int, fresh: int) -> Sequence[Row]:
        """Take the oldest rows for the places that fresh ones left."""
        shut = self._shut
        rows = self._spool.pending(room, without=shut)
        if self._backlog:
            waited = sum(row.sequence <= self._before for row in rows)
            self._credit = min(SHARE - 1, max(0, self._credit + waited - (SHARE - 1) * fresh))
            self._backlog = bool(shut) or not self._drained(rows, fresh)
        return rows

    def _drained(self, rows: Sequence[Row], fresh: int) -> bool:
        """Return whether the backlog is gone; no row is not a proof: a store may have to read it first."""
        if rows:
            return rows[-1].sequence > self._before
        return self._spool.counts().queued <= len(self._out) + len(self._refusals) + fresh


class RecentAcks:
    """Rows that the broker acknowledged a moment ago, in case it forgets them. Times are monotonic, in s.

    mosquitto writes its database after it acknowledges: killed in that instant, it loses rows that it
    acknowledged (at 1,000 events/s, 7 of 2,355 over 12 kills were measured). So such rows rest in the spool
    until the broker has lived on for ``FLUSH_S``, and wait again when the connection breaks before.

    Args:
        silence_s: the time after which a connection without a sign of life is given up; a row acknowledged
            before that was acknowledged by a broker that lived on.
    """

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._rows: deque[tuple[float, int]] = deque()  # by the time of their answers

    def add(self, sequence: int, now: float) -> None:
        """Note that the broker acknowledged a row."""
        self._rows.append((now, sequence))

    def settled(self, now: float) -> list[int]:
        """Return, whenever the broker gives any answer, the rows that it had time to write before."""
        if not self._rows or self._rows[0][0] > now - FLUSH_S - _TOGETHER_S:
            return []
        return self._until(now - FLUSH_S)

    def lost(self, now: float, *, by_broker: bool) -> tuple[list[int], list[int]]:
        """Return, at the end of a connection, the rows that the broker has and those it may have forgotten.

        Args:
            now: when the end was noticed.
            by_broker: the broker ended it in order, so it was not killed and forgets nothing.
        """
        safe = self._until(math.inf if by_broker else now - self._silence_s - FLUSH_S)
        unsafe = [sequence for _, sequence in self._rows]
        self._rows.clear()
        return safe, unsafe

    def _until(self, at: float) -> list[int]:
        found = []
        while self._rows and self._rows[0][0] < at:
            found.append(self._rows.popleft()[1])
        return found


class Confirmation(NamedTuple):
    """A consumer's message on ``<prefix>/<node>/ack``: it has every event up to this sequence.

    Attributes:
        epoch: the epoch of the ids; None where the message does not name one.
    """

    sequence: int
    epoch: str | None

    @classmethod
    def parse(cls, payload: bytes) -> Confirmation | None:
        """Read ``1042`` or ``{"epoch": "3f9c…", "sequence": 1042}``; return None for anything else."""
        if len(payload) > _MAX_CONFIRMATION:
            return None
        try:
            found: object = json.loads(payload)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict):
            return cls(found, None) if _is_sequence(found) else None
        sequence, epoch = found.get("sequence"), found.get("epoch")
        return cls(sequence, epoch) if _is_sequence(sequence) and isinstance(epoch, str) else None


def _is_sequence(value: object) -> TypeGuard[int]:
    return type(value) is int and value >= 0  # True is an int too
