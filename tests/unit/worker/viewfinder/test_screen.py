"""A terminal, its size and its rate."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import termios
from typing import TYPE_CHECKING

import numpy as np
import pytest
from terminal_double import Screen as Double

from edged.worker.viewfinder.screen import Screen, drawer

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 90_000


class Line:
    """A terminal, and what came to it."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.resize(80, 24)
        self.screen = Screen(self.theirs, drawer("256"), RATE, 4)

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> bytes:
        """All that came, up to the last bytes that the screen sends."""
        data = b""
        while not data.endswith(b"\x1b[?2026l") and not data.endswith(b"\x1b[2J"):
            data += os.read(self.ours, 1 << 16)
        return data


@pytest.fixture
def line() -> Iterator[Line]:
    made = Line()
    yield made
    os.close(made.ours)
    os.close(made.theirs)


def test_lines_are_below_the_picture_and_only_those_that_changed_are_sent(line: Line) -> None:
    assert line.screen.room() == (80, 40)
    line.read()
    line.screen.show(None, ["one", "two \x1b[31m", "three", "x" * 200], 0.0)
    double = Double()
    double.feed(line.read())
    assert [double.line(row) for row in range(20, 24)] == ["one", "two ?[31m", "three", "x" * 79]
    line.screen.show(None, ["one", "2", "three", "x" * 200], 1.0)
    assert line.read().count(b"H") == 1


def test_a_picture_waits_until_the_line_had_time_for_the_one_before(line: Line) -> None:
    size = line.screen.room()
    assert size is not None
    random = np.random.default_rng(1)
    line.read()
    before = line.screen.sent
    line.screen.show(random.integers(0, 256, (16, 40, 3)).astype(np.uint8), [], 10.0)
    sent = line.screen.sent - before
    assert len(line.read()) == sent
    assert line.screen.wait_s(10.0) == pytest.approx(sent / RATE)
    assert line.screen.wait_s(11.0) == 0


def test_another_size_is_another_picture(line: Line) -> None:
    line.screen.room()
    line.read()
    line.resize(100, 30)
    assert line.screen.room() == (100, 52)
    assert line.read() == b"\x1b[2J"
    line.resize(15, 30)
    assert line.screen.room() is None, "too small"
