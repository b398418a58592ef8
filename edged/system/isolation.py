"""The walls around a worker, and which of them are enough for ``isolation: required``.

========  ===================================================================================
name      what it keeps a worker from, even where an attacker runs code in it
========  ===================================================================================
user      main's files, signals and memory: workers run as another user (under systemd)
seccomp   sockets, namespaces, other processes' memory and signals: a filter of system calls
netns     the network: an empty network namespace
mountns   files that the configuration does not name: a file system of its own
pidns     other processes: they cannot be seen, so they cannot be signalled
landlock  the same once more, where the kernel has it
========  ===================================================================================
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

WALLS = ("user", "seccomp", "netns", "mountns", "pidns", "landlock")
IN_WORDS = {
    "user": "another user (user)",
    "seccomp": "no internet sockets (seccomp)",
    "netns": "no network (netns)",
    "mountns": "no files but its own (mountns)",
    "pidns": "no other processes (pidns)",
    "landlock": "landlock",
}
REMEDY = "sudo apt install bubblewrap libseccomp2, or write isolation: optional to run all the same"


def around(pid: int) -> tuple[str, ...]:
    """Return the walls between this process and another one, by the kernel's word and not by its own.

    The filter and Landlock are not among them: a worker adds those itself.

    Args:
        pid: the process id of the other one, as this process sees it.
    """
    held = set()
    with contextlib.suppress(OSError, ValueError, IndexError):
        folder = Path("/proc", str(pid))
        status = _status(folder)
        if int(status["Uid"].split()[0]) != os.getuid():
            held.add("user")
        if len(status["NSpid"].split()) > 1:
            held.add("pidns")
        if has_no_network(folder):
            held.add("netns")
        if not _mounts(folder) & _mounts(Path("/proc/self")):
            held.add("mountns")
    return ordered(held)


def confirmed(pid: int, reported: Collection[str], outside: Collection[str]) -> tuple[str, ...]:
    """Return the walls that a worker reports and the kernel shows.

    Landlock alone stays the worker's word: the kernel does not show it, and no other wall depends on it.

    Args:
        pid: the worker's process id. Nothing is shown of one that has ended, and its report stays as it is.
        reported: the walls that the worker reports.
        outside: those around its fork server.
    """
    folder, shown = Path("/proc", str(pid)), {*outside, "landlock"}
    try:
        if _status(folder)["Seccomp"] == "2":
            shown.add("seccomp")
        if has_no_network(folder):
            shown.add("netns")
    except (OSError, KeyError):
        return ordered(reported)
    return ordered(shown & set(reported))


def _status(process: Path) -> dict[str, str]:
    lines = (process / "status").read_text("ascii", "replace").splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def has_no_network(process: Path) -> bool:
    """Return whether a process has no way out but to itself: the loopback is its only interface.

    Args:
        process: its folder in ``/proc``.

    Raises:
        OSError: it cannot be looked at.
    """
    links = [line.split(":")[0].strip() for line in (process / "net/dev").read_text().splitlines()[2:]]
    return set(links) == {"lo"}


def _mounts(process: Path) -> set[str]:
    """Return the numbers of the mounts that a process sees, which no other mount namespace has."""
    found = {line.split()[0] for line in (process / "mountinfo").read_text().splitlines()}
    if not found:
        raise ValueError(process)
    return found


def suffices(walls: Collection[str]) -> bool:
    """Return whether these walls close every way out that is known.

    The filter closes sockets and reaching into processes; the empty network namespace closes what the filter
    cannot see, such as the abstract sockets of host services. Files, signals and host services with a path
    are closed by another user or by a mount and a PID namespace.
    """
    held = set(walls)
    return {"seccomp", "netns"} <= held and ("user" in held or {"mountns", "pidns"} <= held)


def ordered(walls: Collection[str]) -> tuple[str, ...]:
    """Return the walls in the order in which they are shown."""
    return tuple(wall for wall in WALLS if wall in walls)


def in_words(walls: Collection[str]) -> str:
    """Return what is around a worker, for people."""
    return ", ".join(IN_WORDS.get(wall, wall) for wall in walls)


def not_isolated(who: str, walls: Collection[str] = ()) -> str:
    """Return the sentence about a process whose walls are not enough.

    Args:
        who: the subject, such as ``the sensor worker`` or ``WARNING: this process``.
        walls: those that hold.
    """
    held = ", ".join(ordered(walls)) or "nothing"
    return f"{who} is not isolated: of what closes every way out it has only {held}"
