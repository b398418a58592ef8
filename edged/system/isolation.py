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
