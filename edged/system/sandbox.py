"""Confines a worker, for good, before it opens a camera or reads a model.

Three walls of its own, on top of those that its fork server stands behind:

* a seccomp filter, a list of the system calls that a worker may make (:mod:`edged.system.syscalls`). It needs
  no privilege, and is what keeps the network shut on every machine;
* a network namespace with nothing in it, which only root may make;
* Landlock, where the kernel has it: files, signals and TCP ports.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from edged.system import isolation, landlock, namespaces, syscalls
from edged.system.needs import DEVICE_NAMES, ETC, ETC_NETWORK, PROGRAMS, Needs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from edged.system.seccomp import Filter


_CLONE_NEWNET = 0x40000000
_PROGRAMS = (*PROGRAMS, "/opt")
_HOTPLUG = ("/etc/udev",)
_HARMLESS = ("/dev/null", "/dev/zero", "/dev/full", "/dev/urandom", "/dev/random")


class Walls:
    """The walls that confine this process from now on.

    Attributes:
        holds: the names of the walls, of :data:`edged.system.isolation.WALLS`.
    """

    def __init__(self, holds: tuple[str, ...], devices: tuple[str, ...]) -> None:
        self.holds = holds
        self._patterns = devices
        self._known = _nodes(devices)

    def outdated(self) -> bool:
        """Return whether a device was plugged in since, which only another worker can open.

        Landlock knows a device by its node; one that comes back has a new node under the old name.
        """
        return "landlock" in self.holds and not _nodes(self._patterns) <= self._known


def prepare() -> None:
    """Build the filter of an ordinary worker, so that a process that is forked later has it at once."""
    _filter(Needs())


def confine(needs: Needs) -> Walls:
    """Confine this process, whose threads have not started yet, to what it needs.

    Nothing is taken on trust: the walls that are returned were tried.
    """
    calls = _filter(needs)  # before Landlock: libseccomp is looked for with a program
    held = []
    if not needs.network and _leave_network():
        held.append("netns")
    if landlock.restrict(
        read=(*_tree(), *needs.files, *_extras(needs)),
        execute=_executable(needs.programs),
        write=(*_HARMLESS, *_paths(needs.devices)),
        list_only=("/dev",),
        tcp=needs.network,
    ):
        held.append("landlock")
    if calls is not None and calls.load() and (needs.network or not internet_possible()):
        held.insert(0, "seccomp")
    return Walls(tuple(held), needs.devices)


def internet_possible() -> bool:
    """Return whether this process can still make an internet socket."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.socket(family, socket.SOCK_DGRAM).close()
            return True
    return False


def _leave_network() -> bool:
    """Move to an empty network; True also where this process is in one already."""
    before = _namespace()
    if ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0 and _namespace() != before:
        return True
    with contextlib.suppress(OSError):
        return isolation.has_no_network(Path("/proc/self"))
    return False


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/net")  # noqa: PTH115 - the name of the namespace, not a path
    except OSError:
        return ""


def _filter(needs: Needs) -> Filter | None:
    """Return the filter; None where this machine has no libseccomp, or its emulator no seccomp."""
    try:
        return syscalls.worker_filter(
            network=needs.network, programs=bool(needs.programs), hotplug=needs.hotplug
        )
    except OSError:
        return None


def _tree() -> Iterator[str]:
    """Give where programs, libraries and Python modules are, and what describes the machine."""
    yield from (*_PROGRAMS, *ETC, *DEVICE_NAMES, "/proc")
    yield from namespaces.python_folders()


def _extras(needs: Needs) -> Iterator[str]:
    if needs.network:
        yield from ETC_NETWORK
    if needs.hotplug:
        yield from _HOTPLUG


def _executable(programs: Iterable[str]) -> Iterator[str]:
    """Give folders of which programs may be started: a program may be a script that starts others."""
    for program in programs:
        yield from _PROGRAMS
        yield str(Path(program).parent)


def _paths(patterns: Iterable[str]) -> Iterator[str]:
    """Give the paths that patterns of devices stand for now."""
    for pattern in patterns:
        yield from sorted(glob.glob(pattern))  # noqa: PTH207 - the patterns are absolute


def _nodes(patterns: Iterable[str]) -> set[tuple[str, int, int]]:
    """Return the devices that are there, with what tells a node from the one that had its name before."""
    found = set()
    for path in _paths(patterns):
        with contextlib.suppress(OSError):
            status = os.stat(path)  # noqa: PTH116 - a pattern may stand for many
            found.add((path, status.st_dev, status.st_ino))
    return found
