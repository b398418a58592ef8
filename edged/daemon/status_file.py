"""The file in the run directory from which ``edged status`` reads: health, and marks of who wrote it when.

The run directory is in memory, so the file is written often; a reader needs no port and no privilege.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME = "status.json"
EARLY_S = 1.0  # of rounding; a file from farther in the future is of an earlier boot
STALE_S = 15.0  # a daemon in order writes every 5 s
MAX_BYTES = 1_000_000


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
        self._next.chmod(0o644)  # it holds what the health topic tells everybody
        self._next.replace(self._path)

    def remove(self) -> None:
        """Say that nobody runs here any more; harmless when called twice."""
        for path in (self._path, self._next):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Found:
    """What a reader found.

    Attributes:
        data: the content of the file; empty where there is none that can be read.
        trouble: why it tells nothing about now, in one sentence; empty where all is well.
    """

    data: Mapping[str, Any]
    trouble: str = ""


def read(run_dir: Path, *, now: float | None = None) -> Found:
    """Read the file and judge whether the daemon that wrote it is still there and answers.

    Args:
        run_dir: of the daemon.
        now: monotonic time, in s; None: that of this moment.
    """
    path = run_dir / NAME
    try:
        with path.open("rb") as file:
            data = json.loads(file.read(MAX_BYTES))
        pid, written = int(data["pid"]), float(data["monotonic"])
    except FileNotFoundError:
        return Found({}, f"no daemon is running: there is no {path}")
    except PermissionError:
        return Found({}, f"{path} may not be read by this user")
    except (OSError, ValueError, KeyError, TypeError):
        return Found({}, f"{path} is no status file of edged")
    age_s = (clock.monotonic() if now is None else now) - written
    if not _is_alive(pid) or age_s < -EARLY_S:
        return Found(data, f"no daemon is running: process {pid} is gone without a goodbye")
    if age_s > STALE_S:
        return Found(data, f"the daemon (process {pid}) has not answered for {age_s:.0f} s")
    return Found(data)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True  # somebody else's, but there
    except (OSError, OverflowError):
        return False
    return pid > 0
