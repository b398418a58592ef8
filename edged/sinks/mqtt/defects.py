"""Tells a defect in our own code that is new from one that was told already."""

from __future__ import annotations

import traceback

from edged.system import clock

AGAIN_S = 3600.0  # a defect at the same place is told again after so long
MOST = 100  # places that are remembered


class Defects:
    """Remembers at which places something went wrong, so that each gets its traceback once an hour."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, int], float] = {}

    def is_new(self, error: Exception) -> bool:
        """Whether this one is to be logged."""
        frame = traceback.extract_tb(error.__traceback__)[-1]
        place = (type(error).__name__, frame.filename, frame.lineno or 0)
        now = clock.monotonic()
        if now - self._told.get(place, -AGAIN_S) < AGAIN_S:
            return False
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[place] = now
        return True
