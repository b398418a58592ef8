"""How much memory processes take; also those that /proc hides, whose files were opened while it did not.

The fork server closes its memory to its user's other processes, upon which a /proc mounted with ``hidepid``
(``ProtectProc=invisible`` in the unit) does not show it any more. What was opened before stays readable.
"""

from __future__ import annotations

import os
import time

_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_ATTEMPTS, _PAUSE_S = 20, 0.0005
_kept: dict[int, int] = {}  # descriptors of statm by process


def keep(pid: int) -> None:
    """Open a process's file now, to read it later.

    A process that was just started is hidden until its exec is over, which takes less than a millisecond.
    """
    forget(pid)
    for _ in range(_ATTEMPTS):
        try:
            _kept[pid] = os.open(f"/proc/{pid}/statm", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            time.sleep(_PAUSE_S)
        else:
            return


def forget(pid: int) -> None:
    """Close what :func:`keep` opened; harmless where it did not."""
    if pid in _kept:
        os.close(_kept.pop(pid))


def megabytes(pid: int) -> float | None:
    """Return the resident memory of a process in MB; None for one that is gone or hidden."""
    try:
        if pid in _kept:
            text = os.pread(_kept[pid], 256, 0)
        else:
            with open(f"/proc/{pid}/statm", "rb") as file:  # noqa: PTH123 - once a second for each process
                text = file.read()
        return int(text.split()[1]) * _PAGE_MB
    except (OSError, ValueError, IndexError):
        return None
