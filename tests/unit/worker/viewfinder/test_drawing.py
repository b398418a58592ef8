"""What is written to a terminal, read back by a double of one."""

from __future__ import annotations

import base64
import re
from typing import Any

import cv2
import numpy as np
import pytest
from terminal_double import Screen

from edged.models import bundled
from edged.worker.viewfinder.graphics import Kitty, Sixels
from edged.worker.viewfinder.half_blocks import HalfBlocks

PHOTO = np.asarray(cv2.resize(cv2.imread(str(bundled.PHOTO)), (60, 40)), np.uint8)


def shown(data: bytes, screen: Screen | None = None) -> Any:
    """The picture that stands on a screen, BGR."""
    screen = screen or Screen()
    screen.feed(data)
    return screen.pixels[:40, :60, ::-1].astype(int)


def test_half_blocks_show_the_picture() -> None:
    assert np.abs(shown(HalfBlocks(1 << 24).draw(PHOTO)) - PHOTO).max() < 8
    assert np.abs(shown(HalfBlocks(256).draw(PHOTO)) - PHOTO).mean() < 16


def test_what_stays_the_same_is_not_drawn_again() -> None:
    blocks, screen = HalfBlocks(256), Screen()
    whole = blocks.draw(PHOTO)
    shown(whole, screen)
    noisy = np.clip(PHOTO + np.random.default_rng(1).integers(-5, 6, PHOTO.shape), 0, 255).astype(np.uint8)
    assert len(blocks.draw(noisy)) < 8
    moved = PHOTO.copy()
    moved[10:14, 20:24] = 255 - moved[10:14, 20:24]
    part = blocks.draw(moved)
    assert 8 < len(part) < len(whole) / 10
    assert np.abs(shown(part, screen) - moved).mean() < 16
    blocks.forget()
    assert len(blocks.draw(moved)) > len(whole) / 2


def test_slow_changes_are_not_lost() -> None:
    """A cell is compared with what stands on the screen, not with the picture before."""
    blocks, screen = HalfBlocks(1 << 24), Screen()
    for value in range(60, 200, 4):
        picture = np.full((40, 60, 3), value, np.uint8)
        assert np.abs(shown(blocks.draw(picture), screen) - value).max() < 20


def test_a_slow_line_gets_fewer_cells() -> None:
    fast, slow = HalfBlocks(256), HalfBlocks(256)
    for _ in range(10):
        slow.spare(much=True)
    brighter = np.clip(PHOTO.astype(int) + 20, 0, 255).astype(np.uint8)
    for blocks in (fast, slow):
        blocks.draw(PHOTO)
    assert len(slow.draw(brighter)) < 8 < len(fast.draw(brighter))


def test_a_picture_with_an_odd_number_of_rows() -> None:
    assert np.abs(shown(HalfBlocks(1 << 24).draw(PHOTO[:39]))[:39] - PHOTO[:39]).max() < 8


def test_kitty_gets_a_png_in_pieces() -> None:
    kitty, screen = Kitty(), Screen()
    large = cv2.resize(PHOTO, kitty.size(80, 20, (8, 16)))
    screen.feed(kitty.draw(large))
    heads, parts = zip(*(command[1:].split(b";", 1) for command in screen.strings), strict=True)
    assert len(parts) > 2
    assert max(map(len, parts)) <= 4096
    assert [b"m=1" in head for head in heads] == [True] * (len(heads) - 1) + [False]
    assert b"a=T" in heads[0]
    assert b"C=1" in heads[0], "the cursor stays"
    png = cv2.imdecode(np.frombuffer(base64.b64decode(b"".join(parts)), np.uint8), cv2.IMREAD_COLOR)
    assert png is not None
    assert np.abs(png.astype(int) - large).max() < 8
    kitty.spare(much=True)
    assert kitty.size(80, 20, (8, 16)) < (large.shape[1], large.shape[0])


def test_sixels_show_the_picture() -> None:
    screen = Screen()
    screen.feed(Sixels().draw(PHOTO))
    (data,) = screen.strings
    text = data.decode()
    size = re.search(r'"1;1;(\d+);(\d+)', text)
    assert size is not None
    assert (int(size[1]), int(size[2])) == (60, 40)
    colours = {
        int(n): [int(part) * 255 / 100 for part in parts]
        for n, *parts in re.findall(r"#(\d+);2;(\d+);(\d+);(\d+)", text)
    }
    seen = np.zeros((42, 60, 3))
    body = re.sub(r"#\d+;2;\d+;\d+;\d+", "", text.split("40", 1)[1])
    for number, band in enumerate(body.split("-")):
        for row in band.split("$"):
            colour, runs = re.findall(r"^#(\d+)(.*)$", row, re.DOTALL)[0]
            column = 0
            for count, character in re.findall(r"(?:!(\d+))?([?-~])", runs):
                for bit in range(6):
                    if ord(character) - 63 >> bit & 1:
                        seen[6 * number + bit, column : column + int(count or 1)] = colours[int(colour)]
                column += int(count or 1)
            assert column == 60
    assert np.abs(seen[:40, :, ::-1] - PHOTO).max() <= 27, "half of a step of 51"


@pytest.mark.parametrize("drawer", [Kitty(), Sixels(), HalfBlocks(256)])
def test_a_picture_is_never_larger_than_its_place(drawer: Any) -> None:
    for columns, rows, cell in ((80, 20, (8, 16)), (20, 4, (10, 20)), (200, 60, (16, 32))):
        width, height = drawer.size(columns, rows, cell)
        blocks = isinstance(drawer, HalfBlocks)
        assert 1 <= width <= (columns if blocks else columns * cell[0])
        assert 1 <= height <= (2 * rows if blocks else rows * cell[1])
