"""The only door to sqlite: few verbs, and errors sorted by what can be done about them.

The store uses a :class:`Database`. In the product that is :class:`Sqlite`; the laboratory puts the same
statements on another sqlite whose disk it controls.
"""

from __future__ import annotations

import enum
import errno
import os
import pwd
import shlex
import sqlite3
import stat
from typing import TYPE_CHECKING, Any, Protocol

from edged.errors import EdgedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOCK_WAIT_S = 0.5


class Trouble(enum.Enum):
    """The kinds of trouble with the disk or the file; the value is the phrase for messages."""

    FULL = "the disk is full"
    READONLY = "the disk is read-only"
    DENIED = "this user may not write there"
    AWAY = "its file cannot be reached"
    LOCKED = "another program holds the file"
    FAILED = "the disk failed"
    DAMAGED = "the file is damaged"


READABLE = {Trouble.FULL, Trouble.READONLY, Trouble.DENIED, Trouble.AWAY}  # an open file can still be read


class DiskError(EdgedError, OSError):
    """A statement failed; ``trouble`` decides what to do, the message is sqlite's or the system's."""

    def __init__(self, trouble: Trouble, message: str) -> None:
        super().__init__(message)
        self.trouble = trouble


class Database(Protocol):
    """An open file. Every method raises ``DiskError``."""

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return all of its rows."""

    def many(self, sql: str, values: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement once for each tuple."""

    def close(self) -> None:
        """Close the file; harmless when called twice."""


class Sqlite:
    """The standard library's sqlite, without transactions of its own making."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=LOCK_WAIT_S,
                isolation_level=None,
                check_same_thread=False,  # opened by the main thread, then used by the writer alone
            )
        except sqlite3.Error as error:
            raise self._sorted(error) from error

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement and return all of its rows."""
        try:
            return self._connection.execute(sql, values).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise self._sorted(error) from error

    def many(self, sql: str, values: Iterable[tuple[Any, ...]]) -> None:
        """Execute a statement once for each tuple."""
        try:
            self._connection.executemany(sql, values)
        except sqlite3.Error as error:
            raise self._sorted(error) from error

    def close(self) -> None:
        """Close the file; harmless when called twice."""
        try:
            self._connection.close()
        except sqlite3.Error as error:
            raise self._sorted(error) from error

    def _sorted(self, error: Exception) -> DiskError:
        code = getattr(error, "sqlite_errorcode", None)
        # Text that is not UTF-8 where text should be has no code of sqlite's: edged did not write that.
        found = sorted_error(code if isinstance(code, int) else 11, str(error))
        may_be_denied = found.trouble in {Trouble.READONLY, Trouble.AWAY} or code == _NO_LOCK
        if may_be_denied and (why := _denied(self._path)):
            return DiskError(Trouble.DENIED, why)
        return found


_SORTED = {
    5: Trouble.LOCKED,  # BUSY
    6: Trouble.LOCKED,
    8: Trouble.READONLY,
    11: Trouble.DAMAGED,  # CORRUPT
    13: Trouble.FULL,
    14: Trouble.AWAY,  # CANTOPEN: the folder is not there, or this user may not open the file
    26: Trouble.DAMAGED,  # NOTADB
}
_NO_LOCK = 3850  # IOERR_LOCK: of a file that could be opened for reading only, or a disk that failed


def sorted_error(code: int, message: str) -> DiskError:
    """Return the error for a result code of sqlite; an I/O error is never taken for anything milder."""
    return DiskError(_SORTED.get(code & 0xFF, Trouble.FAILED), message)


_OTHER_OWNER = "; run edged as the user that owns state_dir, or name another state_dir"
_SYSTEM = {
    errno.ENOSPC: (Trouble.FULL, ""),
    errno.EDQUOT: (Trouble.FULL, ""),
    errno.EROFS: (Trouble.READONLY, ""),
    errno.EACCES: (Trouble.DENIED, _OTHER_OWNER),
    errno.EPERM: (Trouble.DENIED, _OTHER_OWNER),
    errno.ENOENT: (Trouble.AWAY, ""),
    errno.ENOTDIR: (Trouble.AWAY, "; a part of state_dir is a file: name a folder"),
}


def disk_error(error: OSError) -> DiskError:
    """Return an error of the system as one of the disk."""
    if isinstance(error, DiskError):
        return error
    trouble, hint = _SYSTEM.get(error.errno or 0, (Trouble.FAILED, ""))
    return DiskError(trouble, f"{error}{hint}")


def _denied(path: Path) -> str:
    """Return which file of a database this user may not write, and the command that mends it; else "".

    sqlite does not tell such a file from a disk that is read-only.
    """
    files = (path, path.with_name(f"{path.name}-wal"), path.parent)
    try:
        if os.statvfs(path.parent).f_flag & os.ST_RDONLY:
            return ""
        for file in files:
            if file.exists() and not os.access(file, os.W_OK, effective_ids=True):
                return f"{file} is not writable for {_user()}: {_cure(file)}"
    except OSError:  # the folder cannot even be looked into, which is reported as it is
        return ""
    return ""


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a user of systemd or of a container that has no entry
        return str(os.geteuid())


def _cure(file: Path) -> str:
    found, quoted = file.stat(), shlex.quote(str(file))
    if found.st_uid != os.geteuid():
        return f"chown {_user()} {quoted}"
    if not found.st_mode & stat.S_IWUSR:
        return f"chmod u+w {quoted}"
    return f"chattr -i {quoted}"
