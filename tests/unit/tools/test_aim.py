"""What a terminal is asked, and what is made of its answers."""

from __future__ import annotations

import os
import pty
import threading
from typing import TYPE_CHECKING

import pytest

from edged.errors import Refused
from edged.tools import aim

if TYPE_CHECKING:
    from collections.abc import Iterator

KITTY, SIXEL, PLAIN = b"\x1b_Gi=31;OK\x1b\\\x1b[?62;c", b"\x1b[?62;4;22c", b"\x1b[?62;22c"


@pytest.fixture
def ends() -> Iterator[tuple[int, int]]:
    """A terminal: the person's end, and the program's."""
    ours, theirs = pty.openpty()
    yield ours, theirs
    os.close(ours)
    os.close(theirs)


@pytest.mark.parametrize(
    ("answer", "environment", "way"),
    [
        (KITTY, {}, "kitty"),
        (SIXEL, {}, "sixel"),
        (PLAIN, {}, "256"),
        (PLAIN, {"COLORTERM": "truecolor"}, "24bit"),
        (b"", {}, "256"),
        (KITTY, {"SSH_CONNECTION": "a b c d"}, "256"),
    ],
)
def test_the_way_is_the_best_that_the_terminal_says_it_takes(
    answer: bytes,
    environment: dict[str, str],
    way: str,
    ends: tuple[int, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aim, "_ANSWER_S", 0.3 if not answer else 10.0)
    ours, theirs = ends

    def person() -> None:
        asked = b""
        while not asked.endswith(b"\x1b[c"):
            asked += os.read(ours, 4096)
        os.write(ours, answer)

    answering = threading.Thread(target=person, daemon=True)
    terminal = aim.Terminal(theirs, theirs, {"TERM": "xterm-256color"} | environment)
    with terminal:
        if "SSH_CONNECTION" not in environment:
            answering.start()
        assert terminal.way() == way
    assert terminal.bytes_per_s < 125_000 or "SSH_CONNECTION" not in environment


@pytest.mark.parametrize("kind", ["", "dumb", "unknown"])
def test_a_terminal_without_a_cursor_is_refused(kind: str, ends: tuple[int, int]) -> None:
    with pytest.raises(Refused, match="cannot place a cursor"):
        aim.Terminal(ends[1], ends[1], {"TERM": kind})


def test_keys_are_passed_on_and_others_are_not(ends: tuple[int, int]) -> None:
    ours, theirs = ends
    with aim.Terminal(theirs, theirs, {"TERM": "xterm"}) as terminal, terminal.keys() as (keys, end):
        os.write(ours, b"a\x1b[Ar e")
        typed = b""
        while len(typed) < 2:
            typed += os.read(keys, 16)
        assert typed == b"re"
        end()
        assert os.read(keys, 16) == b"q"


def test_the_terminal_can_be_written_and_not_read(ends: tuple[int, int]) -> None:
    terminal = aim.Terminal(ends[1], ends[1], {"TERM": "xterm"})
    with terminal.for_writing() as descriptor, pytest.raises(OSError, match="Bad file descriptor"):
        os.read(descriptor, 1)
