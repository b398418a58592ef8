"""Landlock: gives up files, signals and TCP ports for good, on kernels that have it.

The newest kernels can take away more than the oldest ones; :func:`version` says which of them this one is,
and what it does not know is left out. Raspberry Pi OS's kernel has no Landlock at all (version 0).

Numbers and structures are those of ``include/uapi/linux/landlock.h``; the documentation is
https://docs.kernel.org/userspace-api/landlock.html.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from typing import TYPE_CHECKING

from edged.system import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# The same on every architecture, as all system calls since Linux 5.0 are.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_IOCTL_DEV = 1 << 15
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: _IOCTL_DEV}  # rights by the version that brought them
_TCP = {4: 0b11}  # bind and connect
_SCOPES = {6: 0b11}  # abstract sockets and signals
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _IOCTL_DEV  # what a rule for a file may name

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return the kernel's version of Landlock; 0 for none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _ASK_VERSION))


def restrict(
    read: Iterable[str | Path] = (),
    execute: Iterable[str | Path] = (),
    write: Iterable[str | Path] = (),
    list_only: Iterable[str | Path] = (),
    *,
    tcp: bool = False,
) -> bool:
    """Confine the calling thread and what it starts to these files, and to signals among themselves.

    What was opened before stays open. A path that does not exist is left out.

    Args:
        read: files and folders that may be read, with everything below them.
        execute: files and folders of which programs may be started, and which may be read.
        write: files and devices that may be read and written; nothing can be created in a folder.
        list_only: folders whose names may be listed, with those of all folders below them.
        tcp: whether TCP connections may be made.

    Returns:
        Whether it holds; False where the kernel has no Landlock.
    """
    known = version()
    files = _until(known, _FILES)
    if not files:
        return False
    attributes = struct.pack("=QQQ", files, 0 if tcp else _until(known, _TCP), _until(known, _SCOPES))
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        for paths, rights in (
            (read, _READ_FILE | _READ_DIR),
            (execute, _READ_FILE | _READ_DIR | _EXECUTE),
            (write, _READ_FILE | _READ_DIR | _WRITE_FILE | _IOCTL_DEV),
            (list_only, _READ_DIR),
        ):
            for path in paths:
                with contextlib.suppress(OSError):
                    _allow(ruleset, path, rights & files)
        kernel.give_up_privileges()
        return _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _call(number: int, *arguments: int | bytes | None) -> int:
    given = [ctypes.c_long(each) if isinstance(each, int) else each for each in (number, *arguments)]
    return int(_libc.syscall(*given))


def _until(known: int, rights: dict[int, int]) -> int:
    """Return the rights that this version knows of."""
    found = 0
    for since, bits in rights.items():
        if since <= known:
            found |= bits
    return found


def _allow(ruleset: int, path: str | Path, rights: int) -> None:
    """Add a rule.

    Raises:
        OSError: there is no such file, or it cannot be part of a rule.
    """
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        if _call(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(descriptor)
