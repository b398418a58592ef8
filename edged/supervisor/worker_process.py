"""One worker process, as main holds it: its pipe, its heartbeat, its end."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Protocol

from edged.ipc import worker_messages
from edged.ipc.codec import WireError
from edged.ipc.heartbeat import Heartbeat, Stage
from edged.supervisor.fatal_samples import decoded_by
from edged.supervisor.pipe_end import PipeEnd

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Mapping, Sequence

    from edged.ipc.worker_messages import Report
    from edged.ipc.worker_order import Order
    from edged.system.ending import Ending
    from edged.system.processes import Process

log = logging.getLogger(__name__)

_BEFORE_READY = (worker_messages.Fault, worker_messages.Labels)
_END_S = 1.0  # a worker that closed its pipe has to end within this time


class Owner(Protocol):
    """Receives what becomes of a worker."""

    def reported(self, worker: WorkerProcess, report: Report) -> None:
        """Take a report that is in order."""

    def misbehaved(self, worker: WorkerProcess, what: str) -> None:
        """Take a sentence about a message that no worker in order sends."""

    def exited(self, worker: WorkerProcess, how: Ending) -> None:
        """Take how the process ended; the last call for this worker."""


class WorkerProcess:
    """Created before the process: the ends that it gets are handed to the fork server with the order.

    Attributes:
        order: the worker's order.
        models: descriptors of the models that the order names; closed once the worker was forked.
        heartbeat: shows what it is doing.
        stage: the stage of its main thread when it ended.
        decoded: the marks of what it was decoding when it ended, by pipeline.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(self, order: Order, owner: Owner, models: Sequence[int] = ()) -> None:
        self.order = order
        self.models = models
        self.stage = Stage.STARTUP
        self.decoded: Mapping[str, int] = {}
        self._owner = owner
        try:
            self._pipe = PipeEnd(
                worker_messages.CODEC,
                take=self._take,
                misbehaved=lambda what: owner.misbehaved(self, what),
                closed=self._closed,
            )
        except OSError:
            close_all(models)
            raise
        try:
            self.heartbeat = Heartbeat.create()
        except OSError:
            self._pipe.close()
            self._close_theirs()
            raise
        self._process: Process | None = None
        self._names = frozenset(pipeline.name for pipeline in order.pipelines)
        self._ready: set[str] = set()

    @property
    def pid(self) -> int | None:
        """The process id, while the process runs."""
        return self._process.pid if self._process is not None else None

    @property
    def theirs(self) -> socket.socket:
        """The worker's end of the pipe."""
        return self._pipe.theirs

    def forked(self, process: Process) -> None:
        """Take over the process that the fork server forked."""
        self._close_theirs()
        self._process = process
        process.when_it_ends(self._exited)
        self._pipe.listen()

    def kill(self) -> None:
        """End the process now; ``exited`` follows."""
        self._pipe.ignore()
        if self._process is not None:
            self._process.kill()

    def send(self, pipeline: str, verb: str) -> bool:
        """Send a command; return False where the process is gone, or far behind."""
        return self._process is not None and self._pipe.send(f"{pipeline} {verb}".encode())

    def ask_to_stop(self) -> None:
        """Close the pipe, upon which the worker closes its sources and ends."""
        self._pipe.ignore()
        self._pipe.close()

    async def ended(self, timeout_s: float) -> bool:
        """Wait until the process is gone; return False where it is not."""
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.ended.wait()
        except TimeoutError:
            return False
        return True

    def discard(self) -> None:
        """Close everything; for a worker that was never forked, or is gone."""
        self._pipe.ignore()
        self._pipe.close()
        self._close_theirs()
        self.heartbeat.close()

    def _close_theirs(self) -> None:
        self._pipe.close_theirs()
        close_all(self.models)
        self.models = ()

    def _closed(self) -> None:
        """Give a worker that closed its pipe a moment to end: its end says more."""
        asyncio.get_running_loop().call_later(_END_S, self._pipe.refuse, "closed its pipe")

    def _take(self, report: Report) -> None:
        if report.pipeline not in self._names:
            raise WireError("a pipeline that belongs to another worker")
        if isinstance(report, worker_messages.Ready):
            self._ready.add(report.pipeline)
        elif report.pipeline not in self._ready and not isinstance(report, _BEFORE_READY):
            raise WireError("a report before the model was open")
        self._owner.reported(self, report)

    def _exited(self, how: Ending) -> None:
        """Read what the process still reported, then pass on how it ended."""
        self._pipe.drain()
        log.debug("worker %s (pid %s) %s", self.order.name, self.pid, how)
        self._process = None
        self.stage = self.heartbeat.model().read().stage
        self.decoded = decoded_by(self.heartbeat, [pipeline.name for pipeline in self.order.pipelines])
        self.discard()
        self._owner.exited(self, how)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
