"""Draws pictures on terminals that take them: by the protocol of kitty, or in sixels.

* kitty: a PNG in base64, which the terminal scales to cells. https://sw.kovidgoyal.net/kitty/graphics-protocol/
* sixels: bands of six rows, for each colour in them. https://vt100.net/docs/vt3xx-gp/chapter14.html
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_CHUNK = 4096  # bytes of base64 in one command, the most that kitty takes
_WIDEST, _LEAST = 640, 160  # pixels of the longer side
_BAND = 6  # rows
_SHADES = 6  # of red, green and blue


class Kitty:
    """Draws with kitty's protocol, in fewer pixels where the line is slow."""

    def __init__(self) -> None:
        self._most = _WIDEST
        self._cells = (0, 0)
        self._cell = (8, 16)

    def size(self, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
        """Return the most pixels that a picture may have on this many columns and rows of cells."""
        self._cells, self._cell = (columns, rows), cell
        width, height = columns * cell[0], rows * cell[1]
        scale = min(1.0, self._most / max(width, height))
        return max(1, int(width * scale)), max(1, int(height * scale))

    def forget(self) -> None:
        """Do nothing: each picture replaces the one before."""

    def spare(self, *, much: bool) -> None:
        """Send fewer pixels, or more."""
        self._most = max(_LEAST, self._most * 3 // 4) if much else min(_WIDEST, self._most + 8)

    def draw(self, picture: Picture) -> bytes:
        """Return what draws a picture (BGR) at the upper left corner."""
        height, width = picture.shape[:2]
        even = np.asarray(picture & 0xF8, np.uint8)  # noise in the lowest bits would cost most of the bytes
        data = base64.b64encode(cv2.imencode(".png", even)[1].tobytes())
        scale = min(self._cells[0] * self._cell[0] / width, self._cells[1] * self._cell[1] / height)
        columns = max(1, int(width * scale / self._cell[0]))
        rows = max(1, int(height * scale / self._cell[1]))
        return b"\x1b[H" + b"".join(_commands(data, f"a=T,f=100,i=1,p=1,q=2,C=1,c={columns},r={rows}"))


def _commands(data: bytes, keys: str) -> Iterator[bytes]:
    for at in range(0, len(data), _CHUNK):
        more = int(at + _CHUNK < len(data))
        head = f"{keys},m={more}" if not at else f"m={more}"
        yield b"\x1b_G" + head.encode() + b";" + data[at : at + _CHUNK] + b"\x1b\\"


class Sixels:
    """Draws in sixels of 216 colours."""

    def size(self, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
        """Return the most pixels that a picture may have on this many columns and rows of cells."""
        width, height = columns * cell[0], rows * cell[1]
        scale = min(1.0, _WIDEST / max(width, height))
        return max(1, int(width * scale)), max(_BAND, int(height * scale))

    def forget(self) -> None:
        """Do nothing: each picture is drawn whole."""

    def spare(self, *, much: bool) -> None:
        """Keep the size: a smaller picture would leave the rest of a larger one."""
        del much

    def draw(self, picture: Picture) -> bytes:
        """Return what draws a picture (BGR) at the upper left corner."""
        height, width = picture.shape[:2]
        levels = (picture.astype(np.uint16) * (_SHADES - 1) + 127) // 255
        colours = levels[:, :, 2] * _SHADES**2 + levels[:, :, 1] * _SHADES + levels[:, :, 0]
        palette = "".join(_defined(int(colour)) for colour in np.unique(colours))
        bands = "-".join(_band(colours[top : top + _BAND]) for top in range(0, height, _BAND))
        return f'\x1b[H\x1bP0;1q"1;1;{width};{height}{palette}{bands}\x1b\\'.encode()


def _defined(colour: int) -> str:
    parts = (colour // _SHADES**2, colour // _SHADES % _SHADES, colour % _SHADES)
    return f"#{colour};2;" + ";".join(str(part * 100 // (_SHADES - 1)) for part in parts)


def _band(colours: NDArray[np.uint16]) -> str:
    """Return six rows: for each colour, which of them have it, from left to right."""
    weights = (1 << np.arange(len(colours)))[:, None]
    drawn = []
    for colour in np.unique(colours):
        bits = ((colours == colour) * weights).sum(axis=0)
        ends = np.flatnonzero(np.diff(bits, append=-1)) + 1
        lengths = np.diff(ends, prepend=0)
        runs = (_run(int(bits[end - 1]), int(length)) for end, length in zip(ends, lengths, strict=True))
        drawn.append(f"#{colour}" + "".join(runs))
    return "$".join(drawn)


def _run(bits: int, length: int) -> str:
    character = chr(63 + bits)
    return f"!{length}{character}" if length > 3 else character * length
