"""Moves the wall clock of a Python process by the seconds that stand in the file $EDGED_LAB_CLOCK."""

from __future__ import annotations

import os
import time

_real = time.time
_file = os.environ["EDGED_LAB_CLOCK"]


def _moved() -> float:
    try:
        with open(_file, encoding="ascii") as file:  # noqa: PTH123 - this runs before everything
            return _real() + float(file.read() or 0)
    except OSError:
        return _real()


time.time = _moved
