"""The age of each row, on a machine whose clock may be wrong by years.

A row is dated with the boot and the milliseconds since that boot, on a clock that nobody sets and that goes
on in suspend. Within one boot its age is exact. Over boots it is known only where the wall clock was right in
both, from the difference of the two clocks that each boot leaves in the ledger; otherwise it is at least the
time since this boot. A wall clock that jumps after it was synchronised is not trusted again before the next
start. So a wrong clock keeps rows too long, and never drops one too early.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable

JUMP_S = 60.0  # more than clocks drift and NTP slews between two comparisons
COMPARE_S = 10.0
BOOTS = 64  # boots remembered; rows from before have the age that is known for certain
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return secrets.token_hex(16)


@dataclass(frozen=True)
class Time:
    """The clocks, to be replaced in tests: seconds since this boot, wall time, whether that is right."""

    since_boot: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    wall: Callable[[], float] = clock.wall
    synced: Callable[[], bool] = clock.synced
    boot_id: Callable[[], str] = _boot_id


Boots = dict[int, tuple[str, float | None]]  # number: boot id, wall time at its begin where that is known


class Ages:
    """Dates rows and returns their ages.

    Args:
        max_age_s: rows older than this are dropped.
        time: the clocks.
    """

    def __init__(self, max_age_s: float, time: Time) -> None:
        self._max_age_s = max_age_s
        self._time = time
        self.boots: Boots = {}
        self._jumped = False
        self._compared_at = float("-inf")
        self._boot = 1
        self.adopt({})

    def adopt(self, boots: Boots) -> None:
        """Take over the boots that a file knows; this one is added where it is new."""
        here = self._time.boot_id()
        known = {id_: number for number, (id_, _) in boots.items()}
        self._boot = known.get(here) or max(boots, default=0) + 1
        self.boots = dict(sorted(boots.items())[-(BOOTS - 1) :])
        self.boots.setdefault(self._boot, (here, None))
        self._compared_at = float("-inf")

    def now(self) -> float:
        """Return the seconds since this boot."""
        return self._time.since_boot()

    def wall(self) -> tuple[float, bool]:
        """Return the wall time and whether it is synchronised."""
        return self._time.wall(), self._time.synced()

    def timestamp(self) -> tuple[int, int]:
        """Return the boot and the ms since it, for a row that is accepted now."""
        return self._boot, int(self._time.since_boot() * 1000)

    def left_s(self, boot: int, at: int) -> float:
        """Return how long a row may still live, in s; 0 or less: it is too old."""
        return self._max_age_s - self._age_s(boot, at)

    def compare_clocks(self) -> bool:
        """Compare the clocks, at most every ``COMPARE_S``; return whether the ledger has to know."""
        now = self._time.since_boot()
        if now - self._compared_at < COMPARE_S:
            return False
        self._compared_at = now
        id_, known = self.boots[self._boot]
        if not self._time.synced():
            return False
        begin = self._time.wall() - now
        if known is None:
            self.boots[self._boot] = (id_, begin)
            return True
        self._jumped = self._jumped or abs(begin - known) > JUMP_S
        return False

    def _age_s(self, boot: int, at: int) -> float:
        now = self._time.since_boot()
        if boot == self._boot:
            return now - at / 1000
        begin = self.boots.get(boot, ("", None))[1]
        here = self.boots[self._boot][1]
        if begin is None or here is None or self._jumped:
            return now
        return max(now, here + now - (begin + at / 1000))
