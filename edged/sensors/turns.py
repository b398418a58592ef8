"""Takes turns: sensors that share a chip or a port talk to it one after the other, whatever their drivers.

A conversation (command, pause, answer) that another one interrupts gives a wrong value that looks like a good
one. A driver names the device and holds its turn from the first byte to the last::

    with turns.take("/dev/i2c-1 0x44", timeout_s=4, descriptor=fd, at=0x44):
        …

Sensors of this process wait for each other by a lock of that name. Other processes, such as ``edged doctor``,
are kept out by a lock on the device's descriptor; programs that are not edged's do not look at it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_RETRY_S = 0.005  # between two attempts to lock the descriptor
_TAKEN = frozenset({errno.EACCES, errno.EAGAIN})
_LOCKS: dict[str, threading.Lock] = {}
_GUARD = threading.Lock()


class Waited(Exception):  # noqa: N818 - it becomes the reason of a reading, not an error
    """The device was in use for the whole timeout; the message is a clause."""


@contextlib.contextmanager
def take(name: str, timeout_s: float, *, descriptor: int = -1, at: int = 0) -> Iterator[None]:
    """Hold the turn at a device.

    Args:
        name: the device; the same text for all that talk to it.
        timeout_s: how long to wait for the others.
        descriptor: an open descriptor of the device; -1: do not look at other processes.
        at: the part of the device that is locked, such as the address of a chip on a bus.

    Raises:
        Waited: the others did not end in time.
    """
    until = time.monotonic() + timeout_s
    lock = _lock(name)
    if not lock.acquire(timeout=max(0.0, timeout_s)):
        raise Waited(f"{name} was in use by another sensor for {timeout_s:.1f} s")
    try:
        locked = descriptor >= 0 and _locked(descriptor, at, name, until)
        try:
            yield
        finally:
            if locked:
                _set(descriptor, fcntl.F_UNLCK, at)
    finally:
        lock.release()


def _lock(name: str) -> threading.Lock:
    with _GUARD:
        return _LOCKS.setdefault(name, threading.Lock())


def _locked(descriptor: int, at: int, name: str, until: float) -> bool:
    """Lock a part of a device; return whether its driver has such locks."""
    while True:
        try:
            _set(descriptor, fcntl.F_WRLCK, at)
        except OSError as error:
            if error.errno not in _TAKEN:
                return False
            if time.monotonic() >= until:
                raise Waited(f"{name} is in use by another process of edged") from error
            time.sleep(_RETRY_S)
        else:
            return True


def _set(descriptor: int, kind: int, at: int) -> None:
    """Set a lock that belongs to the open file, not to the process: another descriptor may be closed."""
    flock = struct.pack("hhqqixxxx", kind, os.SEEK_SET, at, 1, 0)
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, flock)
