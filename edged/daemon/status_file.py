"""The status file in the run directory, which ``edged status`` reads: health, and who wrote it when.

The run directory is in memory, so the file is written often; a reader needs no port and no privilege.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.daemon.health import essence
from edged.system import clock
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

NAME = "status.json"
NEWS_S = 1.0  # at least this long between two health messages
FILE_S = 2.0  # between two status files
EARLY_S = 1.0  # of rounding; a file from further in the future is from an earlier boot
STALE_S = 15.0  # a running daemon writes every 2 s
MAX_BYTES = 1_000_000
MODE = 0o640  # it says what a camera shows, and when: not for every user of the machine


class StatusFile:
    """Writes the file, whole or not at all."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / NAME
        self._next = run_dir / f".{NAME}.next"

    def write(self, health: Mapping[str, Any]) -> None:
        """Replace the file. Raises ``OSError``."""
        data = {**health, "pid": os.getpid(), "monotonic": round(clock.monotonic(), 3)}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._next.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
        self._next.chmod(MODE)
        self._next.replace(self._path)

    def remove(self) -> None:
        """Remove the file: no daemon runs any more; harmless when called twice."""
        for path in (self._path, self._next):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


class HealthSchedule:
    """Decides when a health message is published, and writes the status file more often.

    Args:
        run_dir: the folder of the status file; created where it is missing.
        now: returns monotonic time in s.
    """

    def __init__(self, run_dir: Path, now: Callable[[], float] = clock.monotonic) -> None:
        self._file = StatusFile(run_dir)
        self._now = now
        self._failing = False  # the last file could not be written
        self._published: object = None
        self._written: object = None
        self._published_at = self._written_at = float("-inf")

    def is_due(self, message: Mapping[str, Any], interval_s: float) -> bool:
        """Write the file where it is due; return whether the message is due to be published, too."""
        now, news = self._now(), essence(message)
        if news != self._written or now - self._written_at >= FILE_S:
            self._written, self._written_at = news, now
            self._write(message)
        if now - self._published_at < (NEWS_S if news != self._published else interval_s):
            return False
        self._published, self._published_at = news, now
        return True

    def close(self) -> None:
        """Remove the file: the daemon ends."""
        self._file.remove()

    def _write(self, message: Mapping[str, Any]) -> None:
        try:
            self._file.write(message)
        except OSError as error:
            if not self._failing:
                why = (error.strerror or "").lower()
                log.warning("cannot write %s: %s; `edged status` will be out of date", error.filename, why)
            self._failing = True
        else:
            self._failing = False


@dataclass(frozen=True)
class Found:
    """A reader's findings.

    Attributes:
        data: the content of the file; empty where it cannot be read.
        trouble: why the content is not current, in one sentence; empty where it is.
    """

    data: Mapping[str, Any]
    trouble: str = ""


def read(run_dir: Path, *, now: float | None = None) -> Found:
    """Read the file, and check that the daemon that wrote it still runs and responds.

    Args:
        run_dir: the daemon's run directory.
        now: monotonic time in s; None: the current time.
    """
    path = run_dir / NAME
    try:
        with open_regular(path) as file:
            data = json.loads(file.read(MAX_BYTES))
        pid, written = int(data["pid"]), float(data["monotonic"])
    except FileNotFoundError:
        return Found({}, f"no daemon is running: there is no {path}")
    except PermissionError:
        return Found({}, f"{path} may not be read by this user: use sudo, or join the group of the service")
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Found({}, f"{path} is not a status file of edged")
    age_s = (clock.monotonic() if now is None else now) - written
    if not _is_alive(pid) or age_s < -EARLY_S:
        return Found(data, f"no daemon is running: it died (process {pid}), see journalctl -u edged")
    if age_s > STALE_S:
        return Found(data, f"the daemon (process {pid}) has not answered for {age_s:.0f} s")
    return Found(data)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # another user's, but it is there
    except (OSError, OverflowError):
        return False
    return pid > 0
