"""Runs a call that may hang in a thread of its own, and waits for it no longer than allowed."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def within(
    seconds: float, function: Callable[[], T], *, late: Callable[[T], object] = lambda _result: None
) -> T:
    """Return what a function returns.

    A function that hangs leaves its thread behind, which ends with the process.

    Args:
        seconds: the longest time to wait.
        function: called in a thread.
        late: called on the event loop with a result that came when nobody waited any more.

    Raises:
        TimeoutError: it took longer.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if error is None and future.done():
            late(result)  # type: ignore[arg-type]  # there is one where there is no error
        elif error is None:
            future.set_result(result)  # type: ignore[arg-type]  # as above
        elif not future.done():
            future.set_exception(error)

    def run() -> None:
        result, error = None, None
        try:
            result = function()
        except Exception as raised:  # noqa: BLE001 - it is raised again where it is waited for
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="patience", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await future
    except BaseException:
        # Given up in the moment in which the result came: it is there, and nobody gets it.
        if future.done() and not future.cancelled() and future.exception() is None:
            late(future.result())
        raise
