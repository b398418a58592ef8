"""Finds the file that this user may not write, which sqlite does not tell from a disk that is read-only."""

from __future__ import annotations

import os
import pwd
import shlex
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_BESIDE = ("", "-wal")


def refused(path: Path) -> str:
    """Return which file of a database this user may not write and the command that mends it; else nothing.

    Args:
        path: of the database; its log and its folder are looked at too.
    """
    files = [path.with_name(path.name + suffix) for suffix in _BESIDE]
    try:
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return ""
        for file in (*files, path.parent):
            if file.exists() and not os.access(file, os.W_OK, effective_ids=True):
                return f"{file} is not writable for {_user()}: {_cure(file)}"
    except OSError:  # the folder cannot even be looked into, which is said as it is
        return ""
    return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user of systemd or of a container that nobody wrote down
        return str(os.geteuid())


def _cure(file: Path) -> str:
    found, quoted = file.stat(), shlex.quote(str(file))
    if found.st_uid != os.geteuid():
        return f"chown {_user()} {quoted}"
    if not found.st_mode & stat.S_IWUSR:
        return f"chmod u+w {quoted}"
    return f"chattr -i {quoted}"
