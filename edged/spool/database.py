"""The one door to sqlite: few verbs, and errors sorted by what can be done about them.

The store speaks to a :class:`Database`. In the product that is :class:`Sqlite`; the laboratory puts the same
statements on another sqlite whose disk it controls.
"""

from __future__ import annotations

import enum
import sqlite3
from typing import TYPE_CHECKING, Any, Protocol

from edged.errors import EdgedError
from edged.spool.refusals import refused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOCK_WAIT_S = 0.5


class Trouble(enum.Enum):
    """What is wrong with the disk or the file; the value is how it is said."""

    FULL = "the disk is full"
    READONLY = "the disk is read-only"
    DENIED = "this user may not write there"
    AWAY = "its file cannot be reached"
    LOCKED = "another program holds the file"
    FAILED = "the disk failed"
    DAMAGED = "the file is damaged"


class DiskError(EdgedError, OSError):
    """A statement failed; ``trouble`` says what to do, the message what sqlite said."""

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


READABLE = {Trouble.FULL, Trouble.READONLY, Trouble.DENIED, Trouble.AWAY}  # what is open can be read on

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
                check_same_thread=False,  # opened by main, then used by the writer alone
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
        # Text that is no UTF-8 where text should be has no code of sqlite's: the file was not written so.
        found = sorted_error(code if isinstance(code, int) else 11, str(error))
        may_be_refused = found.trouble in {Trouble.READONLY, Trouble.AWAY} or code == _NO_LOCK
        if may_be_refused and (why := refused(self._path)):
            return DiskError(Trouble.DENIED, why)
        return found
