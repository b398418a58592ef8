"""Moves the wall clock of a Python process by the seconds in the file ``clock`` beside this one."""

from __future__ import annotations

import os
import time

_real = time.time
_file = os.path.join(os.path.dirname(__file__), "clock")  # noqa: PTH118, PTH120 - this runs before everything


def _moved() -> float:
    try:
        with open(_file, encoding="ascii") as file:  # noqa: PTH123 - this runs before everything
            return _real() + float(file.read() or 0)
    except OSError:
        return _real()


time.time = _moved
