"""Gives up the network, for good, before a camera is opened.

Two walls, each enough by itself: a seccomp filter that refuses every socket family but AF_UNIX and
AF_NETLINK (libusb needs that one), and a network namespace of its own, which only root may make. The filter
needs no privilege beyond NoNewPrivileges. It also refuses what could borrow somebody else's network:
io_uring, which goes around system calls, and the calls that reach into other processes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
# Families are refused one by one, since libseccomp compares an argument only once in a rule.
_BETWEEN = range(socket.AF_UNIX + 1, socket.AF_NETLINK)
_REFUSED = (
    "io_uring_setup",
    "io_uring_enter",
    "io_uring_register",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "setns",
)


def close_network() -> tuple[str, ...]:
    """Cut this process off and return what holds now: ``seccomp``, ``netns``, both or nothing.

    Nothing is taken on trust: what is returned was tried.
    """
    held = []
    if _leave_network_namespace():
        held.append("netns")
    if _filter_sockets(internet=False) and not internet_possible():
        held.insert(0, "seccomp")
    return tuple(held)


def keep_network() -> None:
    """For a camera that is reached over the network: refuse all but the sockets."""
    _filter_sockets(internet=True)


def internet_possible() -> bool:
    """Whether this process can still make an internet socket."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with contextlib.suppress(OSError):
            socket.socket(family, socket.SOCK_DGRAM).close()
            return True
    return False


def _leave_network_namespace() -> bool:
    before = _namespace()
    return ctypes.CDLL(None).unshare(_CLONE_NEWNET) == 0 and _namespace() != before


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/net")  # noqa: PTH115 - it is no path but the namespace's name
    except OSError:
        return ""


def _filter_sockets(*, internet: bool) -> bool:
    """Load the filter; False where this kernel, emulator or machine has none."""
    try:
        import pyseccomp
    except (ImportError, OSError, RuntimeError):
        return False
    if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    try:
        rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
        refuse = pyseccomp.ERRNO(errno.EPERM)
        for name in _known(pyseccomp, _REFUSED):
            rules.add_rule(refuse, name)
        if not internet:
            rules.add_rule(refuse, "socket", pyseccomp.Arg(0, pyseccomp.LT, socket.AF_UNIX))
            rules.add_rule(refuse, "socket", pyseccomp.Arg(0, pyseccomp.GT, socket.AF_NETLINK))
            for family in _BETWEEN:
                rules.add_rule(refuse, "socket", pyseccomp.Arg(0, pyseccomp.EQ, family))
        rules.load()
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def _known(pyseccomp: Any, names: tuple[str, ...]) -> Iterator[str]:
    """Give the system calls that this libseccomp has heard of."""
    for name in names:
        with contextlib.suppress(OSError, ValueError, RuntimeError):
            pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)
            yield name
