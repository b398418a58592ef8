"""Calls edged as a user does, in a pipe or on a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

EDGED = [sys.executable, "-m", "edged"]


def python_path(first: Path) -> str:
    """Return a PYTHONPATH with a folder before what is on it now."""
    return os.pathsep.join(filter(None, [str(first), os.environ.get("PYTHONPATH")]))


def call(*argv: str, timeout_s: float = 60, **environment: str) -> subprocess.CompletedProcess[str]:
    """In pipes; nobody ever sees a traceback."""
    done = subprocess.run(
        [*EDGED, *argv],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr
    return done


def on_terminal(*argv: str, timeout_s: float = 60) -> tuple[int, str]:
    """On a terminal of its own, as a person sees it; returns the exit status and all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*EDGED, *argv],
        stdout=theirs,
        stderr=theirs,
        stdin=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "110", "LINES": "30"},
    )
    os.close(theirs)
    shown = _read_all(ours)
    os.close(ours)
    return process.wait(timeout_s), shown


def _read_all(fd: int) -> str:
    parts: list[bytes] = []
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:  # the other side is closed
            data = b""
        if not data:
            return b"".join(parts).decode()
        parts.append(data)
