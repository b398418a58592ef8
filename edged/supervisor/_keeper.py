"""Keeps one worker running: starts it, hears it, kills it when it is overdue, starts it again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edged import clock, wire
from edged.pulse import Stage
from edged.supervisor._backoff import Backoff
from edged.supervisor._deadlines import Watch
from edged.supervisor._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from edged.supervisor._board import Board
    from edged.supervisor._forkserver import ForkServer
    from edged.wire import Report
    from edged.worker.order import Order

log = logging.getLogger(__name__)

KILLED_S = 10.0  # a killed process that is still there after this is stuck in the kernel
STOP_S = 1.3  # for a worker to close its sources
ON_TPU = frozenset({Stage.DELEGATE, Stage.LOAD, Stage.INVOKE})


class Keeper:
    """One worker, over all its lives.

    Args:
        order: builds what the next worker is told, with descriptors of its models; called for each.
        deadlines: by stage, in s.
        memory_mb: a worker that takes more is replaced.
        forkserver: forks it.
        board: what is said of its pipelines.
        lost: hears of an accelerator's failure; True: go on at once, on the CPU.
    """

    def __init__(
        self,
        order: Callable[[], Awaitable[tuple[Order, Sequence[int]]]],
        *,
        deadlines: Mapping[Stage, float],
        memory_mb: float,
        forkserver: ForkServer,
        board: Board,
        lost: Callable[[str], bool] = lambda _why: False,
    ) -> None:
        self._order = order
        self._deadlines = deadlines
        self._memory_mb = memory_mb
        self._forkserver = forkserver
        self._board = board
        self._lost = lost
        self._backoff = Backoff()
        self._worker: Worker | None = None
        self._watch: Watch | None = None
        self._task: asyncio.Task[None] | None = None
        self._cause = ""  # why this worker was killed
        self._killed_at: float | None = None
        self._explained = False  # the worker said itself what is wrong
        self._on_tpu = False
        self._tpu_failed = False
        self._stopped = asyncio.Event()
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """Of the worker."""
        return self._worker.pid if self._worker is not None else None

    @property
    def settled(self) -> bool:
        """Whether each pipeline runs, has ended, or has said what is wrong."""
        return all(status.state in {"running", "ended"} or bool(status.fault) for status in self._board.all())

    def start(self, pause_s: float = 0.0) -> None:
        """Start a worker, after a pause."""
        self._task = asyncio.get_running_loop().create_task(self._start(pause_s))

    async def _start(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s)
        order, models = await self._order()
        worker = Worker(order, self, models)
        self._board.starting()
        try:
            pid = await self._forkserver.fork(worker)
        except OSError as error:
            worker.discard()
            self._board.fault("defect", str(error), state="waiting")
            self.start(max(0.2, self._backoff.pause_s(clock.monotonic())))
            return
        except asyncio.CancelledError:
            worker.discard()
            raise
        self._worker = worker
        self._cause, self._killed_at, self._explained, self._tpu_failed = "", None, False, False
        self._on_tpu = any(seat.accelerator == "edgetpu" for seat in order.seats)
        lanes = [worker.pulse.model(), *(worker.pulse.capture(i) for i in range(len(order.seats)))]
        self._watch = Watch(lanes, self._deadlines)
        worker.born(pid)
        self._board.born(pid)

    def reported(self, _worker: Worker, report: Report) -> None:
        """Put a report on the board."""
        if isinstance(report, wire.Fault):
            self._explained = report.kind != "source"
            self._tpu_failed |= report.kind == "accelerator"
        self._board.take(report)

    def misbehaved(self, worker: Worker, what: str) -> None:
        """Replace a worker that sends what no worker sends."""
        self._end(worker, f"sent a message that makes no sense ({what})")

    def exited(self, worker: Worker, how: str) -> None:
        """Start the next one, unless everything is over."""
        self._worker, self._watch = None, None
        names = worker.order.name
        if self._stopping:
            self._stopped.set()
            return
        if self._board.ended():
            return
        why = self._cause or how
        tpu = self._on_tpu and (self._tpu_failed or bool(self._cause) or "SIG" in how)
        pause_s = 0.0 if tpu and self._lost(why) else self._backoff.pause_s(clock.monotonic())
        if not self._explained:
            log.warning("worker %s %s; starting it again%s", names, why, _in(pause_s))
        kind = "accelerator" if tpu else "defect"
        self._board.exited(None if self._explained else (kind, f"the worker {why}"))
        self.start(pause_s)

    def look(self, now: float) -> None:
        """Kill the worker where a stage is overdue."""
        worker, watch = self._worker, self._watch
        if worker is None or watch is None or self._killed_at is not None:
            return
        overdue = watch.look(now)
        if overdue is not None:
            self._tpu_failed |= overdue.stage in ON_TPU
            self._end(worker, overdue.sentence)

    def weigh(self, rss_mb: float) -> None:
        """Kill the worker where it has grown beyond its bound."""
        if self._worker is not None and self._killed_at is None and rss_mb > self._memory_mb:
            self._end(self._worker, f"had grown to {rss_mb:.0f} MB, over {self._memory_mb:g}")

    def forgive(self) -> None:
        """This process was away itself: nobody is overdue for that."""
        if self._watch is not None:
            self._watch.forgive()

    def stuck(self, now: float) -> bool:
        """Whether nothing that can be done here brings this worker forward."""
        return self._killed_at is not None and now - self._killed_at > KILLED_S

    def _end(self, worker: Worker, why: str) -> None:
        self._cause, self._killed_at = why, clock.monotonic()
        worker.kill()

    def restart(self, why: str) -> None:
        """Replace the worker by one with the orders of now."""
        if self._worker is not None:
            self._explained = True  # nothing is wrong
            self._cause = why
            self._worker.ask_to_stop()

    async def stop(self) -> None:
        """End the worker: ask, wait, kill."""
        self._stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        worker = self._worker
        if worker is None:
            return
        worker.ask_to_stop()
        try:
            await asyncio.wait_for(self._stopped.wait(), STOP_S)
        except TimeoutError:
            worker.discard()
        self._worker = None


def _in(pause_s: float) -> str:
    return f" in {pause_s:g} s" if pause_s else ""
