"""Which rows of the spool go out next, and what becomes of them.

After an outage two streams share the connection: what waited, oldest first, and what happens now, which need
not wait behind it. One place in ``SHARE`` goes to what is fresh, the others to the backlog, and when that is
drained there is one stream again. Both keep their order. With ``strict`` there is one stream all the time,
and one row of it under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.sinks.mqtt import confirmation
from edged.sinks.mqtt.recent import Recent
from edged.sinks.mqtt.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.spool import Row, Spool

SHARE = 4  # one place in so many goes to what is fresh
# Before what the application did not confirm is sent again; doubled. Often enough for a consumer that came
# late and waits 10 minutes for what it missed before it passes that over.
UNCONFIRMED_S, LONGEST_S = 60.0, 240.0


class Delivery:
    """Takes rows from the spool for the sink, and settles them there. Times are monotonic, in s.

    Args:
        spool: where events wait.
        strict: one at a time, and none before an older one.
        confirm: a row that the broker has stays in the spool until the application confirms it.
        silence_s: after which a connection without a sign of life is given up.
    """

    def __init__(
        self, spool: Spool, *, strict: bool = False, confirm: bool = False, silence_s: float = 30.0
    ) -> None:
        self._spool = spool
        self._recent = Recent(silence_s)
        self._strict = strict
        self._confirm = confirm
        self._refusals = Refusals()
        self._out: dict[int, Row] = {}  # sent and not answered, by sequence
        self._epoch = spool.epoch
        self._before = 0  # rows up to this sequence waited for the connection
        self._backlog = False  # there may be such rows
        self._credit = 0  # places that went to the backlog since one went to what is fresh, at most SHARE - 1
        self._confirmed = 0  # the highest sequence of this epoch
        self._patience_s = UNCONFIRMED_S
        self._again_at: float | None = None

    @property
    def wake_at(self) -> float | None:
        """When there is something to do that no answer brings about."""
        times = [at for at in (self._refusals.wake_at, self._again_at) if at is not None]
        return min(times, default=None)

    def connected(self) -> None:
        """A connection is there: all that waits goes out, also what only the last broker had."""
        if self._confirm:
            self._spool.again()
        self._patience_s, self._again_at = UNCONFIRMED_S, None
        self._begin_backlog()

    def disconnected(self, now: float, *, told: bool = False) -> None:
        """Give all that is under way back to the spool; ``told``: by a broker that said goodbye."""
        safe, unsafe = self._recent.lost(now, told=told)
        self._spool.settled(safe)
        self._spool.recalled(unsafe)
        self._spool.released([*self._out, *self._refusals.release()])
        self._out.clear()
        self._again_at = None

    def waited(self, row: Row) -> bool:
        """Whether it is no news any more."""
        return row.waited or row.sequence <= self._before

    def take(self, places: int, now: float) -> Sequence[Row]:
        """Hand out at most so many rows to be sent now."""
        self._look_at_epoch()
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
        """The broker has a row, or (None) a retained value."""
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
        """The broker does not want a row; tells whether it is given up for good."""
        self._out.pop(row.sequence, None)
        if not self._refusals.refused(row, code, now):
            return False
        self._spool.refused(row.sequence)
        return True

    def give_up(self, row: Row) -> None:
        """The broker could never take this row."""
        self._out.pop(row.sequence, None)
        self._spool.refused(row.sequence)

    def confirm(self, payload: bytes, *, retained: bool, now: float) -> bool:
        """Read what the application says it has; False where that means nothing here."""
        self._look_at_epoch()
        said = confirmation.parse(payload)
        if said is None or not self._confirm or said.sequence > self._spool.last:
            return False
        # A bare number that the broker kept may be one of an epoch that is over.
        if said.epoch != self._spool.epoch and (said.epoch is not None or retained):
            return False
        if said.sequence > self._confirmed:
            self._spool.confirmed(said.sequence)
            self._confirmed, self._patience_s = said.sequence, UNCONFIRMED_S
            self._again_at = now + self._patience_s
        return True

    def _look_at_epoch(self) -> None:
        """What was confirmed belongs to ids that are over where the store had to begin anew."""
        if self._epoch != self._spool.epoch:
            self._epoch, self._confirmed = self._spool.epoch, 0

    def _begin_backlog(self) -> None:
        self._before, self._backlog, self._credit = self._spool.last, True, 0

    def _send_again(self, now: float) -> None:
        """Send what the application did not confirm in time, ever more seldom while it says nothing."""
        if self._again_at is None or now < self._again_at:
            return
        self._again_at = None
        self._patience_s = min(LONGEST_S, self._patience_s * 2)
        if self._spool.again():
            self._begin_backlog()

    def _offered_again(self, places: int, now: float) -> list[Row]:
        rows = []
        for row in self._refusals.due(now, places):
            if row.left_s is not None and row.left_s <= 0:
                self._spool.released([row.sequence])  # too old by now, which is the spool's to count
            else:
                rows.append(row)
        return rows

    def _fresh(self, room: int) -> Sequence[Row]:
        """Take what happened since the connection was made, as far as its share of the places goes."""
        share = (self._credit + room) // SHARE
        if self._strict or not self._backlog or not share:
            return ()
        return self._spool.pending(share, after=self._before, without=self._refusals.shut)

    def _old(self, room: int, fresh: int) -> Sequence[Row]:
        """Take the oldest for the places that what is fresh left."""
        shut = self._refusals.shut
        rows = self._spool.pending(room, without=shut)
        if self._backlog:
            waited = sum(row.sequence <= self._before for row in rows)
            self._credit = min(SHARE - 1, max(0, self._credit + waited - (SHARE - 1) * fresh))
            self._backlog = bool(shut) or not self._drained(rows, fresh)
        return rows

    def _drained(self, rows: Sequence[Row], fresh: int) -> bool:
        """Whether the backlog is gone; that no row came is no proof: a store may have to read it first."""
        if rows:
            return rows[-1].sequence > self._before
        return self._spool.counts().queued <= len(self._out) + len(self._refusals) + fresh
