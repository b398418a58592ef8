"""A terminal's screen, as far as ``edged aim`` uses one: cells with colours, from what it is sent."""

from __future__ import annotations

import re

import numpy as np

_PIECE = re.compile(
    rb"\x1b\[(?P<private>[?]?)(?P<numbers>[\d;]*)(?P<final>[A-Za-z])"
    rb"|\x1b(?P<string>[_P].*?)\x1b\\|\x1b\\|(?P<text>[^\x1b]+)",
    re.DOTALL,
)
_LEVELS = (0, 95, 135, 175, 215, 255)


class Screen:
    """A screen of cells, each an upper and a lower pixel and a character.

    Attributes:
        pixels: RGB, ``[2 * rows, columns, 3]``.
        strings: commands of kitty's protocol and sixel pictures.
        alternate: the other page is shown.
        cursor: it is visible.
    """

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.columns, self.rows = columns, rows
        self.pixels = np.zeros((2 * rows, columns, 3), np.uint8)
        self.characters = [[" "] * columns for _ in range(rows)]
        self.strings: list[bytes] = []
        self.alternate, self.cursor = False, True
        self._at = (0, 0)
        self._colours = [(255, 255, 255), (0, 0, 0)]

    def feed(self, data: bytes) -> None:
        """Take what a program writes."""
        for piece in _PIECE.finditer(data):
            if piece["text"] is not None:
                self._write(piece["text"].decode())
            elif piece["string"] is not None:
                self.strings.append(piece["string"])
            elif piece["final"] is not None:
                self._control(piece["private"] == b"?", piece["numbers"].decode(), piece["final"].decode())

    def line(self, row: int) -> str:
        """Return the text of a row, counted from 0."""
        return "".join(self.characters[row]).rstrip()

    def text(self) -> str:
        """Return all of it."""
        return "\n".join(map(self.line, range(self.rows)))

    def _control(self, private: bool, numbers: str, final: str) -> None:
        values = [int(number or 0) for number in numbers.split(";")]
        if private:
            for value in values:
                if value == 1049:
                    self.alternate = final == "h"
                    self._at = (0, 0)
                if value == 25:
                    self.cursor = final == "h"
        elif final == "H":
            row, column = ([*values, 1, 1] if numbers else [1, 1])[:2]
            self._at = row - 1, column - 1
        elif final == "m":
            self._colour(values)
        elif final == "K":
            row, column = self._at
            self.characters[row][column:] = [" "] * (self.columns - column)
        elif final == "J":
            self.characters = [[" "] * self.columns for _ in range(self.rows)]
            self.pixels[:] = 0

    def _colour(self, values: list[int]) -> None:
        left = list(values)
        while left:
            code = left.pop(0)
            if code == 0:
                self._colours = [(255, 255, 255), (0, 0, 0)]
            elif code in (38, 48):
                if left.pop(0) == 2:
                    red, green, blue = left[:3]
                    self._colours[code == 48] = red, green, blue
                    del left[:3]
                else:
                    self._colours[code == 48] = _of_256(left.pop(0))

    def _write(self, text: str) -> None:
        for character in text:
            if character in "\r\n":
                continue
            row, column = self._at
            assert 0 <= row < self.rows, "beyond the screen"
            assert 0 <= column < self.columns, "beyond the screen"
            self.characters[row][column] = character
            self.pixels[2 * row, column] = self._colours[0] if character == "▀" else self._colours[1]
            self.pixels[2 * row + 1, column] = self._colours[1]
            self._at = row, column + 1


def _of_256(number: int) -> tuple[int, int, int]:
    if number >= 232:
        return (8 + 10 * (number - 232),) * 3
    cube = number - 16
    return _LEVELS[cube // 36], _LEVELS[cube // 6 % 6], _LEVELS[cube % 6]
