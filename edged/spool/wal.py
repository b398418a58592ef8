"""The write-ahead log, read before sqlite does, which silently stops at the first checksum that is wrong.

What sqlite ignores there may be the harmless rest of a commit that was under way when the power went, or rows
that were accepted and whose ids the world has seen. Those ids must not be given again.
"""

from __future__ import annotations

import enum
import struct
from collections import Counter
from typing import TYPE_CHECKING

from edged.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = 32
_FRAME = 24
_NEAR = 16  # frames from the beginning: those of earlier rounds stand behind
_MOST = 1 << 24  # pages; a number beyond it is damaged itself
_BIG, _LITTLE = 0x377F0683, 0x377F0682


class Log(enum.Enum):
    """The condition of a log."""

    ABSENT = "absent"
    SOUND = "sound"
    CUT = "cut"  # the last commit is not there in full: it was under way, or the file was cut
    DAMAGED = "damaged"  # commits follow behind a part that cannot be read


def inspect(path: Path) -> Log:
    """Return a log's condition (https://www.sqlite.org/fileformat2.html#walformat). Raises ``OSError``."""
    try:
        with open_regular(path) as file:
            data = file.read()
    except FileNotFoundError:
        return Log.ABSENT
    if not data.strip(b"\0"):
        return Log.ABSENT
    if len(data) < _HEADER:
        return Log.CUT
    magic, _, page, _, salt1, salt2, *check = struct.unpack(">8I", data[:_HEADER])
    words = {_BIG: ">", _LITTLE: "<"}.get(magic)
    if words is None or not 512 <= page <= 65536 or list(_sum(words, data[:24], (0, 0))) != check:
        return Log.DAMAGED
    return _frames(data, words, page, struct.pack(">2I", salt1, salt2), (check[0], check[1]))


def replay(path: Path, onto: Path, page: int) -> None:
    """Write all pages of a damaged log into its file, up to the last commit, and remove the log.

    sqlite stops at the first frame whose checksum is wrong, and does not begin at a damaged head. Rows have
    checksums of their own, so those that come out whole this way are good.
    """
    data = path.read_bytes()
    size = _FRAME + page
    frames = [data[at : at + size] for at in range(_HEADER, len(data) - size + 1, size)]
    salts = Counter(frame[8:16] for frame in frames[:_NEAR]).most_common(1)
    frames = [frame for frame in frames if salts and frame[8:16] == salts[0][0]]
    while frames and frames[-1][4:8] == b"\0\0\0\0":
        frames.pop()
    with onto.open("r+b") as file:
        for frame in frames:
            number = int.from_bytes(frame[:4], "big")
            if 0 < number <= _MOST:
                file.seek((number - 1) * page)
                file.write(frame[_FRAME:])
    path.unlink()


def _frames(data: bytes, words: str, page: int, salts: bytes, check: tuple[int, int]) -> Log:
    size = _FRAME + page
    committed = True
    for at in range(_HEADER, len(data), size):
        frame = data[at : at + size]
        if len(frame) < size:
            return Log.CUT if frame[8:16] == salts or not committed else Log.SOUND
        if frame[8:16] != salts:  # left from an earlier round, or overwritten
            behind = _behind(data[at:], size, salts)
            return Log.SOUND if behind is None and committed else behind or Log.CUT
        check = _sum(words, frame[_FRAME:], _sum(words, frame[:8], check))
        if struct.pack(">2I", *check) != frame[16:24]:
            return _behind(data[at:], size, salts) or Log.CUT
        committed = frame[4:8] != b"\0\0\0\0"
    return Log.SOUND if committed else Log.CUT


def _behind(data: bytes, size: int, salts: bytes) -> Log | None:
    """Judge by what follows the end: one commit may have been under way, but never two."""
    ends = sum(
        data[at + 8 : at + 16] == salts and data[at + 4 : at + 8] != b"\0\0\0\0"
        for at in range(0, len(data) - size + 1, size)
    )
    return Log.DAMAGED if ends > 1 else Log.CUT if ends else None


def _sum(words: str, data: bytes, check: tuple[int, int]) -> tuple[int, int]:
    one, two = check
    numbers = struct.unpack(f"{words}{len(data) // 4}I", data)
    for even, odd in zip(numbers[::2], numbers[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two
