"""When health is told: on the topic at intervals and on news, in the run directory more often."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from edged.daemon import health
from edged.daemon.status_file import StatusFile
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

NEWS_S = 1.0  # between two messages at least
FILE_S = 2.0  # between two status files


class HealthSchedule:
    """Gets every health message and decides what becomes of it.

    Args:
        run_dir: for the status file; made where it is missing.
        now: monotonic, in s.
    """

    def __init__(self, run_dir: Path, now: Callable[[], float] = clock.monotonic) -> None:
        self._file = StatusFile(run_dir)
        self._now = now
        self._silent = False  # the last one could not be written
        self._told: object = None
        self._written: object = None
        self._told_at = self._written_at = float("-inf")

    def is_due(self, message: Mapping[str, Any], interval_s: float) -> bool:
        """Write the file where its time has come; tells whether it is time to publish the message too."""
        now, essence = self._now(), health.essence(message)
        if essence != self._written or now - self._written_at >= FILE_S:
            self._written, self._written_at = essence, now
            self._write(message)
        if now - self._told_at < (NEWS_S if essence != self._told else interval_s):
            return False
        self._told, self._told_at = essence, now
        return True

    def close(self) -> None:
        """Nobody runs here any more."""
        self._file.remove()

    def _write(self, message: Mapping[str, Any]) -> None:
        try:
            self._file.write(message)
        except OSError as error:
            if not self._silent:
                log.warning(
                    "`edged status` sees nothing new: %s: %s", error.filename, (error.strerror or "").lower()
                )
            self._silent = True
        else:
            self._silent = False
