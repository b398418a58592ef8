"""A disk in memory whose power can be cut, as a VFS for apsw.

Every file has what is on disk for certain and the writes that were not flushed since. When the power goes
each of those is dropped, kept, or torn: of its sectors of 512 bytes each is written or not. Nothing is in
order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import apsw

from edged.spool.database import sorted_error

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable
    from pathlib import Path

SECTOR = 512
POWERSAFE_OVERWRITE = 0x1000  # as sqlite takes for granted of every disk


class PowerCut(Exception):  # noqa: N818  # an event more than an error
    """The power is gone; nothing reaches the disk any more."""


@dataclass
class Stored:
    """One file: what is flushed, what a process sees, and the writes between (None: cut to a size)."""

    flushed: bytes = b""
    seen: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)

    @classmethod
    def of(cls, data: bytes) -> Stored:
        return cls(data, bytearray(data))

    def write(self, offset: int, data: bytes) -> None:
        _put(self.seen, offset, data)
        self.pending.append((offset, bytes(data)))

    def truncate(self, size: int) -> None:
        del self.seen[size:]
        self.pending.append((size, None))

    def flush(self) -> None:
        self.flushed, self.pending = bytes(self.seen), []

    def after_cut(self, chance: random.Random) -> bytes:
        """What is found when the power is back."""
        data = bytearray(self.flushed)
        for offset, written in self.pending:
            fate = chance.choice(("drop", "keep", "tear"))
            if written is None:
                if fate != "drop":
                    del data[offset:]
                continue
            at = 0
            while at < len(written):
                end = min(len(written), at + SECTOR - (offset + at) % SECTOR)
                if fate == "keep" or (fate == "tear" and chance.random() < 0.5):
                    _put(data, offset + at, written[at:end])
                at = end
        return bytes(data)


def _put(into: bytearray, offset: int, data: bytes) -> None:
    if len(into) < offset:
        into.extend(bytes(offset - len(into)))
    into[offset : offset + len(data)] = data


class CutDisk(apsw.VFS):  # type: ignore[misc]  # apsw is for the laboratory, and untyped where that is missing
    """A folder of such files.

    Attributes:
        files: by name.
        left: operations until the power goes.
        operations: counted so far.
    """

    def __init__(self, chance: random.Random) -> None:
        super().__init__("cut", "")
        self._chance = chance
        self.files: dict[str, Stored] = {}
        self.left = 1 << 60
        self.operations = 0
        self.dead = False

    def spend(self) -> None:
        """Count one operation."""
        self.operations += 1
        self.left -= 1
        if self.left <= 0:
            self.dead = True
        self.check()

    def check(self) -> None:
        if self.dead:
            raise PowerCut

    def after_cut(self, chance: random.Random) -> dict[str, bytes]:
        """What is found in the folder. A file that was never flushed may be there or not."""
        return {
            name: stored.after_cut(chance)
            for name, stored in sorted(self.files.items())
            if stored.flushed or chance.random() < 0.5
        }

    # What sqlite calls.

    def xFullPathname(self, name: str) -> str:
        return name

    def xAccess(self, name: str, _flags: int) -> bool:
        return name in self.files

    def xDelete(self, name: str, _sync: bool) -> None:
        self.spend()
        self.files.pop(name, None)

    def xOpen(self, name: Any, flags: list[int]) -> _Open:
        name = name.filename() if isinstance(name, apsw.URIFilename) else name or "temporary"
        flags[1] = flags[0]
        return _Open(self, self.files.setdefault(name, Stored()))

    def xRandomness(self, size: int) -> bytes:
        return self._chance.randbytes(size)

    def xSleep(self, microseconds: int) -> int:
        return microseconds

    def xCurrentTime(self) -> float:
        return 2460000.5

    def xCurrentTimeInt64(self) -> int:
        return 212444000000000

    def xGetLastError(self) -> tuple[int, str]:
        return 0, ""


class _Open:
    """An open file."""

    def __init__(self, disk: CutDisk, stored: Stored) -> None:
        self._disk = disk
        self._stored = stored

    def xRead(self, amount: int, offset: int) -> bytes:
        return bytes(self._stored.seen[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.check()
        self._stored.write(offset, data)
        self._disk.spend()

    def xTruncate(self, size: int) -> None:
        self._disk.check()
        self._stored.truncate(size)
        self._disk.spend()

    def xSync(self, _flags: int) -> None:
        self._disk.spend()
        self._stored.flush()

    def xFileSize(self) -> int:
        return len(self._stored.seen)

    def xLock(self, _level: int) -> None:
        return

    def xUnlock(self, _level: int) -> None:
        return

    def xCheckReservedLock(self) -> bool:
        return False

    def xFileControl(self, _op: int, _pointer: int) -> bool:
        return False

    def xSectorSize(self) -> int:
        return SECTOR

    def xDeviceCharacteristics(self) -> int:
        return POWERSAFE_OVERWRITE

    def xClose(self) -> None:
        return


class Apsw:
    """The spool's door to sqlite, over apsw."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(path.name, vfs="cut")

    def rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return _sorted(lambda: list(self._connection.execute(sql, values)))

    def many(self, sql: str, values: Iterable[tuple[Any, ...]]) -> None:
        _sorted(lambda: list(self._connection.executemany(sql, values)))

    def close(self) -> None:
        _sorted(self._connection.close)


def _sorted(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except PowerCut as error:
        raise sorted_error(10, "the power is gone") from error
    except apsw.Error as error:
        raise sorted_error(getattr(error, "result", 1), str(error)) from error
