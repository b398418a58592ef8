"""The board as root sees it: programs, sysfs, and waiting for something to come true."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def run(*command: str, timeout_s: float = 60) -> str:
    """Run a program and return what it printed; what it complains of is the message of the failure."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-300:]}"
    return done.stdout


def write(path: str, text: str) -> None:
    """Write to sysfs, in a process of its own: a driver may hold on to the writer."""
    run("sh", "-c", 'printf %s "$1" >"$0"', path, text)


def text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def wait(what: str, ask: Callable[[], T | None], timeout_s: float) -> T:
    """Return the first answer that is true.

    Raises:
        AssertionError: none was within the time.
    """
    until = time.monotonic() + timeout_s
    while not (answer := ask()):
        assert time.monotonic() < until, f"not within {timeout_s:g} s: {what}"
        time.sleep(0.1)
    return answer


def field(pid: int, name: str) -> str:
    """Return a line of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(line.split(":", 1)[1].strip() for line in lines if line.startswith(f"{name}:"))
