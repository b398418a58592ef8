"""A call that hangs costs its caller no more than the time allowed."""

from __future__ import annotations

import asyncio
import threading

import pytest

from edged.system.patience import within


def test_a_result_and_an_error_come_back() -> None:
    assert asyncio.run(within(5, lambda: 7)) == 7
    with pytest.raises(ZeroDivisionError):
        asyncio.run(within(5, lambda: 1 // 0))


def test_a_result_that_nobody_waits_for_any_more_is_handed_on() -> None:
    async def life() -> list[str]:
        go, late, came = threading.Event(), [], asyncio.Event()

        def slow() -> str:
            go.wait(10)
            return "result"

        def hand_on(result: str) -> None:
            late.append(result)
            came.set()

        with pytest.raises(TimeoutError):
            await within(0.02, slow, late=hand_on)
        go.set()
        await asyncio.wait_for(came.wait(), 10)
        return late

    assert asyncio.run(life()) == ["result"]


def test_a_result_that_came_in_the_moment_of_giving_up_is_handed_on() -> None:
    async def life() -> list[str]:
        late: list[str] = []
        call = asyncio.create_task(within(10, lambda: "result", late=late.append))
        for thread in await _started():
            thread.join()  # its result waits for the event loop, which is here
        asyncio.get_running_loop().call_soon(call.cancel)  # right behind it
        with pytest.raises(asyncio.CancelledError):
            await call
        return late

    assert asyncio.run(life()) == ["result"]


async def _started() -> list[threading.Thread]:
    await asyncio.sleep(0)
    return [thread for thread in threading.enumerate() if thread.name == "patience"]
