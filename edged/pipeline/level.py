"""The level of sound, from its power: 0 dBFS is a square wave at full scale, a sine at full scale has -3."""

from __future__ import annotations

import math

QUIETEST_DBFS = -120.0  # silence
_LEAST = 10 ** (QUIETEST_DBFS / 10)


def dbfs(power: float) -> float:
    """Return the level of sound with this mean square (full scale: 1), in dBFS."""
    return 10 * math.log10(max(power, _LEAST))
