"""A terminal that pictures and lines of text are drawn on, at a bounded rate.

The picture is at the top, the lines are below it. What is sent is counted, and the next picture waits until
the line to the terminal has had the time for it: otherwise a slow line would show what was seconds ago.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import TYPE_CHECKING, Protocol

from edged.text import printable
from edged.worker.viewfinder.graphics import Kitty, Sixels
from edged.worker.viewfinder.half_blocks import HalfBlocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.ipc.aim_request import Way

    Picture = NDArray[np.uint8]

_CELL = (8, 16)  # pixels of a cell, where the terminal does not tell
_SLOW_S, _FAST_S = 0.4, 0.15  # for one picture: longer means that the line is slow, shorter that it is not
_LEAST = (20, 8)  # columns and rows
_SYNC, _SHOWN = b"\x1b[?2026h", b"\x1b[?2026l"  # terminals that know it show all of it at once


class Drawer(Protocol):
    """Draws pictures in one way."""

    def size(self, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
        """Return the most pixels that a picture may have on this many columns and rows of cells."""

    def forget(self) -> None:
        """Draw all of the next picture: the terminal was cleared."""

    def spare(self, *, much: bool) -> None:
        """Send less for each picture, or more."""

    def draw(self, picture: Picture) -> bytes:
        """Return what draws a picture (BGR) at the upper left corner."""


def drawer(way: Way) -> Drawer:
    """Return what draws in one way."""
    if way == "kitty":
        return Kitty()
    return Sixels() if way == "sixel" else HalfBlocks(256 if way == "256" else 1 << 24)


class Screen:
    """One terminal; for one thread.

    Args:
        terminal: its descriptor.
        drawer: draws the pictures.
        bytes_per_s: that it is sent at most.
        lines: how many there are below the picture.

    Attributes:
        sent: bytes until now.
    """

    def __init__(self, terminal: int, drawer: Drawer, bytes_per_s: int, lines: int) -> None:
        self._terminal = terminal
        self._drawer = drawer
        self._bytes_per_s = bytes_per_s
        self._count = lines
        self._size = (0, 0)
        self._most = (1, 1)
        self._shown: list[str] = []
        self._free_at = 0.0
        self.sent = 0

    @property
    def columns(self) -> int:
        """Return how wide the lines may be."""
        return self._size[0]

    def room(self) -> tuple[int, int] | None:
        """Return the most pixels that a picture may have now; None where the terminal is too small."""
        columns, rows, cell = _measured(self._terminal)
        if (columns, rows) != self._size:
            self._size = columns, rows
            self._shown = []
            self._drawer.forget()
            self._write(b"\x1b[2J")
        if columns < _LEAST[0] or rows < _LEAST[1]:
            return None
        self._most = self._drawer.size(columns, rows - self._count, cell)
        return self._most

    def wait_s(self, now: float) -> float:
        """Return how long the line to the terminal is still busy, in s."""
        return max(0.0, self._free_at - now)

    def show(self, picture: Picture | None, lines: Sequence[str], now: float) -> None:
        """Draw a picture, if there is one, and the lines that changed.

        Args:
            picture: BGR, in the size that :meth:`room` allows.
            lines: the text below it.
            now: monotonic time in s.
        """
        data = self._drawer.draw(picture) if picture is not None else b""
        data += self._changed(lines)
        if not data:
            return
        data = _SYNC + data + _SHOWN
        self._write(data)
        needed_s = len(data) / self._bytes_per_s
        self._free_at = max(now, self._free_at) + needed_s
        if picture is not None and (needed_s > _SLOW_S or needed_s < _FAST_S):
            self._drawer.spare(much=needed_s > _SLOW_S)

    def _changed(self, lines: Sequence[str]) -> bytes:
        columns, rows = self._size
        texts = [printable(line)[: columns - 1] for line in lines[: self._count]]
        first = rows - self._count + 1
        before, self._shown = self._shown, texts
        known = before + [""] * len(texts)
        return "".join(
            f"\x1b[{first + n};1H\x1b[0m{text}\x1b[K" for n, text in enumerate(texts) if text != known[n]
        ).encode()

    def _write(self, data: bytes) -> None:
        """Write all of it; a terminal that is stopped keeps this process waiting."""
        self.sent += len(data)
        left = memoryview(data)
        while left:
            left = left[os.write(self._terminal, left) :]


def _measured(terminal: int) -> tuple[int, int, tuple[int, int]]:
    """Return columns and rows of a terminal, and the pixels of a cell."""
    answer = fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))
    rows, columns, width, height = struct.unpack("HHHH", answer)
    columns, rows = columns or 80, rows or 24
    cell = (width // columns, height // rows)
    return columns, rows, cell if min(cell) > 0 else _CELL
