"""Time for the whole of edged: monotonic for intervals, wall time only to stamp what leaves.

A Raspberry Pi has no clock at boot, so wall time is never trusted until the kernel says it is synchronised.
"""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised


def monotonic() -> float:
    """Seconds on a clock that never steps."""
    return time.monotonic()


def wall() -> float:
    """Seconds since 1970 by the system's clock, which may be wrong by years before NTP."""
    return time.time()


def rfc3339(epoch_s: float) -> str:
    """Format seconds since 1970 as RFC 3339 in UTC with milliseconds: ``2026-01-31T12:00:00.123Z``."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def synced() -> bool:
    """Whether the kernel takes its clock for synchronised (adjtimex(2), read only).

    False also where the call is not allowed or not there: an unknown clock is not a trusted one.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    timex = (ctypes.c_char * 512)()  # struct timex is 208 bytes on 64-bit Linux; modes = 0 only reads
    try:
        state = int(libc.adjtimex(ctypes.byref(timex)))
    except AttributeError:
        return False
    return state not in (-1, _TIME_ERROR)
