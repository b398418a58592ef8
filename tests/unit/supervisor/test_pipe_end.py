from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from edged.ipc import codec
from edged.ipc.codec import Codec, WireError
from edged.supervisor.pipe_end import AT_A_TIME, PipeEnd

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Word:
    text: str


CODEC = Codec([Word], {"text": codec.text(16)}, max_bytes=64, longest_sentence=16)


class Main:
    """A pipe end that listens, and what it received."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.refused: list[str] = []
        self.closed = 0
        self.end = PipeEnd(CODEC, take=self.take, misbehaved=self.refused.append, closed=self.count_close)
        self.end.listen()
        self.worker = self.end.theirs

    def take(self, word: Word) -> None:
        if word.text == "stranger":
            raise WireError("not its own")
        self.taken.append(word.text)

    def send(self, text: str) -> None:
        self.worker.send(CODEC.encode(Word(text)) if text != "nonsense" else b"nonsense")

    def count_close(self) -> None:
        self.closed += 1


def scenario(check: Callable[[Main], None], send: tuple[str, ...] = (), *, close: bool = False) -> None:
    async def life() -> None:
        main = Main()
        for text in send:
            main.send(text)
        if close:
            main.worker.close()
        for _ in range(10):
            await asyncio.sleep(0)
        check(main)
        main.end.close()
        main.end.close_theirs()

    asyncio.run(life())


def test_messages_are_taken_in_order() -> None:
    def check(main: Main) -> None:
        assert main.taken == ["a", "b"]
        assert not main.refused

    scenario(check, ("a", "b"))


@pytest.mark.parametrize("bad", ["nonsense", "stranger"])
def test_nonsense_is_reported_once_and_ends_the_listening(bad: str) -> None:
    def check(main: Main) -> None:
        assert main.taken == ["a"]
        assert len(main.refused) == 1
        assert main.refused[0].startswith("sent a message that makes no sense (not ")

    scenario(check, ("a", bad, bad, "b"))


def test_a_flood_leaves_the_event_loop_its_turn() -> None:
    async def life() -> None:
        main = Main()
        for number in range(AT_A_TIME + 1):
            main.send(str(number))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(main.taken) == AT_A_TIME
        main.end.drain()
        assert len(main.taken) == AT_A_TIME + 1
        main.end.close()
        main.end.close_theirs()

    asyncio.run(life())


def test_a_closed_pipe_is_told_once_and_the_rest_is_read_first() -> None:
    def check(main: Main) -> None:
        assert main.taken == ["a"]
        assert main.closed == 1
        assert not main.end.send(b"x")

    scenario(check, ("a",), close=True)


def test_what_is_ignored_is_neither_taken_nor_reported() -> None:
    async def life() -> None:
        main = Main()
        main.end.ignore()
        main.send("a")
        main.send("nonsense")
        main.worker.close()
        for _ in range(10):
            await asyncio.sleep(0)
        assert (main.taken, main.refused, main.closed) == ([], [], 0)
        main.end.close()

    asyncio.run(life())
