"""Signals: before and during the event loop, and when stopping hangs. Sent to this very process."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import TYPE_CHECKING

import pytest

from edged.system.signals import Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    kept = [(number, signal.getsignal(number)) for number in ALL]
    yield
    for number, handler in kept:
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_before_there_is_a_loop_it_is_remembered(number: signal.Signals) -> None:
    got: list[str] = []

    async def life() -> None:
        signals = Signals(leave=lambda status: got.append(f"left {status}"))
        signals.install()
        os.kill(os.getpid(), number)
        signals.attach(asyncio.get_running_loop(), lambda: got.append("stop"), lambda: None)
        signals.release()

    asyncio.run(life())
    assert got == ["stop"]


def test_who_hangs_before_there_is_a_loop_is_ended() -> None:
    left = threading.Event()
    Signals(leave=lambda _status: left.set(), deadline_s=0.05).install()
    os.kill(os.getpid(), signal.SIGTERM)
    assert left.wait(5)


def test_a_reload_before_there_is_a_loop_is_no_news() -> None:
    got: list[str] = []

    async def life() -> None:
        signals = Signals(leave=lambda status: got.append(f"left {status}"))
        signals.install()
        os.kill(os.getpid(), signal.SIGHUP)
        signals.attach(asyncio.get_running_loop(), lambda: got.append("stop"), lambda: got.append("reload"))
        await asyncio.sleep(0)
        assert got == []  # the file is read after this anyway
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0)
        signals.release()

    asyncio.run(life())
    assert got == ["reload"]


def test_on_the_loop_they_are_calls() -> None:
    got: list[str] = []

    async def life() -> None:
        signals = Signals(leave=lambda status: got.append(f"left {status}"))
        signals.install()
        stopped = asyncio.Event()

        def stop() -> None:
            got.append("stop")
            stopped.set()

        signals.attach(asyncio.get_running_loop(), stop, lambda: got.append("reload"))
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(stopped.wait(), 5)
        signals.release()

    asyncio.run(life())
    assert got == ["reload", "stop"]


def test_who_does_not_stop_in_time_is_ended() -> None:
    left = threading.Event()
    signals = Signals(leave=lambda _status: left.set(), deadline_s=0.05)

    async def life() -> None:
        signals.install()
        signals.attach(asyncio.get_running_loop(), lambda: None, lambda: None)
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.sleep(0)

    asyncio.run(life())
    assert left.wait(5)


def test_a_signal_after_the_loop_was_closed_does_nothing() -> None:
    got: list[str] = []
    signals = Signals(leave=lambda status: got.append(f"left {status}"))

    async def life() -> None:
        signals.install()
        signals.attach(asyncio.get_running_loop(), lambda: got.append("stop"), lambda: got.append("reload"))

    asyncio.run(life())
    os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGHUP)
    signals.release()
    assert got == []
