"""Draws pictures with characters: each cell of a terminal is two pixels, a half block on its background.

Only cells that changed visibly are written again: a still scene costs next to nothing over a slow line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

_BLOCK = "▀"
_STEP = 8  # of a colour value: finer ones cannot be told apart, and cost a change of colour
_NEAR, _FAR = 10, 40  # a cell is drawn again when a value changed by more: on a fast line, on a slow one
_LEVELS = np.array([0, 95, 135, 175, 215, 255])
_NEAREST = np.abs(np.arange(256)[:, None] - _LEVELS[None, :]).argmin(axis=1)


class HalfBlocks:
    """Draws one picture after the other at the same place.

    Args:
        colours: 256, or 1 << 24.
    """

    def __init__(self, colours: int) -> None:
        self._many = colours > 256
        self._drawn: NDArray[np.int16] | None = None
        self._tolerance = _NEAR

    def size(self, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
        """Return the most pixels that a picture may have on this many columns and rows."""
        del cell
        return columns, 2 * rows

    def forget(self) -> None:
        """Draw all of the next picture: the terminal was cleared."""
        self._drawn = None

    def spare(self, *, much: bool) -> None:
        """Draw cells again only after larger changes, or after smaller ones."""
        self._tolerance = min(_FAR, self._tolerance + 5) if much else max(_NEAR, self._tolerance - 1)

    def draw(self, picture: Picture) -> bytes:
        """Return what draws a picture (BGR) at the upper left corner."""
        height, width = picture.shape[:2]
        if height % 2:
            picture = np.vstack([picture, picture[-1:]])
        cells = picture[:, :, ::-1].reshape(-1, 2, width, 3).astype(np.int16)
        drawn = self._drawn
        if drawn is None or drawn.shape != cells.shape:
            changed = np.ones((cells.shape[0], width), np.bool_)
            drawn = self._drawn = cells.copy()
        else:
            changed = np.abs(cells - drawn).max(axis=(1, 3)) > self._tolerance
            moved = changed[:, None, :, None]
            np.copyto(drawn, cells, where=moved)
        return "".join(self._cells(drawn, changed)).encode()

    def _cells(self, cells: NDArray[np.int16], changed: NDArray[np.bool_]) -> Iterator[str]:
        names = self._names(cells)
        last = ("", "")
        for row in np.flatnonzero(changed.any(axis=1)):
            at = -2  # the column after which the cursor stands
            upper, lower = names[row]
            for column in np.flatnonzero(changed[row]):
                if column != at + 1:
                    yield f"\x1b[{row + 1};{column + 1}H"
                at = column
                colours = (upper[column], lower[column])
                if colours != last:
                    yield self._change(last, colours)
                    last = colours
                yield _BLOCK
        yield "\x1b[0m"

    def _names(self, cells: NDArray[np.int16]) -> list[list[list[str]]]:
        """Return what names the colour of each pixel after ``38;`` or ``48;``, ``[row][half][column]``."""
        if not self._many:
            return [[[f"5;{n}" for n in half] for half in row] for row in _indexes(cells).tolist()]
        even = (cells // _STEP * _STEP).tolist()
        return [[[f"2;{r};{g};{b}" for r, g, b in half] for half in row] for row in even]

    def _change(self, before: tuple[str, str], after: tuple[str, str]) -> str:
        codes = [
            f"{ground};{new}"
            for ground, old, new in zip(("38", "48"), before, after, strict=True)
            if old != new
        ]
        return f"\x1b[{';'.join(codes)}m"


def _indexes(cells: NDArray[np.int16]) -> NDArray[np.int64]:
    """Return the numbers of the nearest of 256 colours: 6 x 6 x 6 of them, and 24 greys."""
    levels = [_NEAREST[cells[..., n]] for n in range(3)]
    cube = 16 + 36 * levels[0] + 6 * levels[1] + levels[2]
    steps = np.clip((cells.mean(axis=-1) - 8) / 10, 0, 23).round().astype(np.int64)
    shown, greys = np.stack([_LEVELS[level] for level in levels], axis=-1), (8 + 10 * steps)[..., None]
    nearer = np.square(cells - greys).sum(axis=-1) < np.square(cells - shown).sum(axis=-1)
    return np.asarray(np.where(nearer, 232 + steps, cube), np.int64)
