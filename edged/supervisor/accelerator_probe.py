"""Tries an accelerator in a process of its own, while its pipelines run on the CPU."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from edged.errors import Reason
from edged.ipc import worker_messages
from edged.supervisor.stall_detector import StallDetector
from edged.supervisor.worker_process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.ipc.heartbeat import Stage
    from edged.ipc.worker_messages import Report
    from edged.ipc.worker_order import Order
    from edged.supervisor.forkserver_client import ForkServer
    from edged.system.ending import Ending

OrderMaker = Callable[[], Awaitable["tuple[Order, Sequence[int]]"]]
"""Returns an order, and the descriptors that go along."""

log = logging.getLogger(__name__)

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL)
_FOREIGN = "the accelerator's library was probably built for another TensorFlow Lite"


def in_words(how: Ending) -> str:
    """Return how a process ended that had not run a model on an accelerator yet, with the usual cause."""
    return f"{how}: {_FOREIGN}" if how.signal in _CRASHES else str(how)


class Done(Protocol):
    """Takes how an attempt went."""

    def __call__(self, why: str, *, absent: bool = False) -> object:
        """Take the reason for a failure; "" where it worked."""


class AcceleratorProbe:
    """One attempt: a worker that opens the models on the accelerator, runs each once, and ends.

    Args:
        order: returns an order with ``probe``, and the descriptors that go along.
        deadlines: the longest time for each stage, in s.
        forkserver: forks the worker.
        done: called once with why the attempt failed, with "" where it worked; ``absent``: there is no such
            device.
    """

    def __init__(
        self,
        order: OrderMaker,
        deadlines: Mapping[Stage, float],
        forkserver: ForkServer,
        done: Done,
    ) -> None:
        self._order = order
        self._deadlines = deadlines
        self._forkserver = forkserver
        self._done = done
        self._why = ""
        self._absent = False
        self._worker: WorkerProcess | None = None
        self._watch: StallDetector | None = None
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._start())

    async def _start(self) -> None:
        try:
            order, files = await self._order()
            worker = WorkerProcess(order, self, files)
        except OSError as error:
            self._done(str(error))
            return
        try:
            worker.forked(await self._forkserver.fork(worker))
        except OSError as error:
            worker.discard()
            self._done(str(error))
        except BaseException:
            worker.discard()
            raise
        else:
            self._worker, self._watch = worker, StallDetector([worker.heartbeat.model()], self._deadlines)

    def reported(self, _worker: WorkerProcess, report: Report) -> None:
        """Keep the first fault of the accelerator."""
        if isinstance(report, worker_messages.Fault) and report.kind == "accelerator":
            self._absent |= not self._why and report.reason == Reason.ABSENT.value
            self._why = self._why or report.message

    def misbehaved(self, worker: WorkerProcess, what: str) -> None:
        """End a worker that sends what no worker in order sends."""
        self._end(worker, what)

    def exited(self, _worker: WorkerProcess, how: Ending) -> None:
        """Report how the attempt went."""
        self._worker = self._watch = None
        if not self._stopping:
            self._done(
                self._why or ("" if how.status == 0 else f"the probe {in_words(how)}"), absent=self._absent
            )

    def look(self, now: float) -> None:
        """End the worker where it hangs."""
        overdue = self._watch.look(now) if self._watch is not None else None
        if overdue is not None and self._worker is not None:
            self._end(self._worker, f"the probe {overdue.sentence}")

    def forgive(self, now: float) -> None:
        """Extend the deadlines: this process itself was suspended."""
        if self._watch is not None:
            self._watch.forgive(now)

    def _end(self, worker: WorkerProcess, why: str) -> None:
        self._why = self._why or why
        worker.kill()

    async def stop(self) -> None:
        """End the attempt now, without a report."""
        self._stopping = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        worker = self._worker
        if worker is not None:
            worker.kill()
            await worker.ended(1.0)
