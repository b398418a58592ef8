from __future__ import annotations

import asyncio
import os
import signal
import subprocess

import pytest

from edged.system.ending import Ending
from edged.system.processes import Process


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (0, "ended with exit status 0"),
        (70, "ended with exit status 70"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-63, "was ended by signal 63"),
        (None, "ended"),
    ],
)
def test_an_ending_is_one_sentence(status: int | None, sentence: str) -> None:
    assert str(Ending(status)) == sentence


def test_the_signal_is_told_apart_from_an_exit_status() -> None:
    assert (Ending(-signal.SIGKILL).signal, Ending(9).signal, Ending(None).signal) == (signal.SIGKILL, 0, 0)


def test_a_process_has_the_id_that_it_has_here_and_ends_once() -> None:
    async def scenario() -> None:
        child = subprocess.Popen(["sleep", "60"])
        endings: list[Ending] = []
        process = Process(7, os.pidfd_open(child.pid), lambda _number: None)
        process.when_it_ends(endings.append)
        assert (process.number, process.pid) == (7, child.pid)
        process.kill()
        assert child.wait(10) == -signal.SIGKILL
        process.finish(Ending(-signal.SIGKILL))
        process.finish(Ending(0))
        process.kill()  # harmless
        assert endings == [Ending(-signal.SIGKILL)]
        assert process.ended.is_set()

    asyncio.run(scenario())


def test_whoever_asks_after_the_end_hears_of_it() -> None:
    async def scenario() -> None:
        process = Process(7, os.pidfd_open(os.getpid()), lambda _number: None)
        process.finish(Ending(0))
        heard: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        process.when_it_ends(heard.set_result)
        assert await asyncio.wait_for(heard, 5) == Ending(0)

    asyncio.run(scenario())


def test_another_users_process_is_killed_by_its_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(_pidfd: int, _sign: int) -> None:
        raise PermissionError

    async def scenario() -> None:
        asked: list[int] = []
        process = Process(7, os.pidfd_open(os.getpid()), asked.append)
        monkeypatch.setattr(signal, "pidfd_send_signal", denied)
        process.kill()
        assert asked == [7]
        process.finish(Ending(0))

    asyncio.run(scenario())
