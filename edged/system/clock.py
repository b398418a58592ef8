"""Clocks: monotonic time for intervals; wall time only as the time of an event or a reading.

A Raspberry Pi has no clock at boot, so wall time is not trusted until the kernel reports it as synchronised.
"""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_LONGEST_AGO_S = 10.0
_TIMESYNCD = Path("/run/systemd/timesync/synchronized")  # created by systemd-timesyncd once the clock is set


def monotonic() -> float:
    """Return seconds on a clock that never steps."""
    return time.monotonic()


def wall() -> float:
    """Return seconds since 1970 on the system's clock, which may be wrong by years before NTP."""
    return time.time()


def wall_at(monotonic_s: float) -> float:
    """Return the wall time of a moment of the last 10 s on the monotonic clock; now, where it is none."""
    age_s = time.monotonic() - monotonic_s
    return wall() - age_s if monotonic_s > 0 and 0 <= age_s < _LONGEST_AGO_S else wall()


def rfc3339(epoch_s: float) -> str:
    """Format seconds since 1970 as RFC 3339 in UTC with milliseconds: ``2026-01-31T12:00:00.123Z``."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def synced() -> bool:
    """Return whether the kernel's clock is synchronised (adjtimex(2), read only).

    Where the call is not allowed (a hardened unit), the file of systemd-timesyncd counts instead; with
    neither of them the result is False: an unknown clock is not trusted.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timex = (ctypes.c_char * 512)()  # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads
    try:
        state = int(libc.adjtimex(ctypes.byref(timex)))
    except AttributeError:
        state = -1
    if state == -1:
        return _TIMESYNCD.exists()
    return state != _TIME_ERROR
