"""One worker process, as main holds it: its pipe, its heartbeat, its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING, Protocol

from edged.events import MAX_BYTES
from edged.ipc import worker_messages
from edged.ipc.codec import WireError
from edged.ipc.heartbeat import Heartbeat, Stage
from edged.system.processes import Process

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edged.ipc.worker_messages import Report
    from edged.ipc.worker_order import Order

log = logging.getLogger(__name__)

_AT_A_TIME = 64  # reports read before others get their turn
_MUTE_S = 1.0  # a worker that closed its pipe has so long to end


class Owner(Protocol):
    """Hears of a worker."""

    def reported(self, worker: WorkerProcess, report: Report) -> None:
        """It sent a report that is in order."""

    def misbehaved(self, worker: WorkerProcess, what: str) -> None:
        """It sent something else."""

    def exited(self, worker: WorkerProcess, how: str) -> None:
        """It is gone; ``how`` is a sentence. The last call for this worker."""


class WorkerProcess:
    """Created before the process: the ends that it gets are handed to the fork server with the order.

    Attributes:
        order: what it was asked to do.
        models: descriptors of the models that the order speaks of; closed when it was forked.
        heartbeat: what it is doing.
        stage: what its main thread was doing when it ended.
    """

    def __init__(self, order: Order, owner: Owner, models: Sequence[int] = ()) -> None:
        self.order = order
        self.models = models
        self.stage = Stage.STARTUP
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        try:
            self._pipe, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        except OSError:
            close_all(models)
            raise
        try:
            self.heartbeat = Heartbeat.create()
        except OSError:
            self._pipe.close()
            self._close_theirs()
            raise
        self._pipe.setblocking(False)
        self._process: Process | None = None
        self._names = frozenset(seat.name for seat in order.seats)
        self._ready: set[str] = set()
        self._deaf = False  # nothing that it says counts any more

    @property
    def pid(self) -> int | None:
        """Of the process, while it runs."""
        return self._process.pid if self._process is not None else None

    def born(self, pid: int) -> None:
        """The fork server forked it."""
        self._close_theirs()
        try:
            self._process = Process(pid, self._gone)
        except OSError:  # no descriptors left; the pid is safe, since nobody else reaps it
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._loop.add_reader(self._pipe, self._readable)

    def kill(self) -> None:
        """End it now; ``exited`` follows."""
        self._deaf = True
        if self._process is not None:
            self._process.kill()

    def tell(self, pipeline: str, verb: str) -> bool:
        """Give it an order; False where it is not there, or far behind."""
        try:
            return self._process is not None and self._pipe.send(f"{pipeline} {verb}".encode()) > 0
        except OSError:
            return False

    def ask_to_stop(self) -> None:
        """Close the pipe, upon which it closes its sources and ends."""
        self._deaf = True
        self._close_pipe()

    async def ended(self, timeout_s: float) -> bool:
        """Wait until the process is gone; False where it is not."""
        if self._process is None:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._process.ended.wait()
        except TimeoutError:
            return False
        return True

    def discard(self) -> None:
        """Give everything back; of a worker that was never born, or is gone."""
        self._deaf = True
        self._close_pipe()
        self._close_theirs()
        self.heartbeat.close()

    def _close_theirs(self) -> None:
        self.theirs.close()
        close_all(self.models)
        self.models = ()

    def _close_pipe(self) -> None:
        if self._pipe.fileno() >= 0:
            self._loop.remove_reader(self._pipe)
            self._pipe.close()

    def _readable(self) -> None:
        if not self._read() and self._pipe.fileno() < 0:
            self._loop.call_later(_MUTE_S, self._mute)  # its end is told by the process itself

    def _read(self) -> bool:
        """Take what is there; True: there may be more."""
        for _ in range(_AT_A_TIME):
            if self._pipe.fileno() < 0:
                return False
            try:
                data = self._pipe.recv(MAX_BYTES + 1)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self._close_pipe()
                return False
            self._take(data)
        return True

    def _mute(self) -> None:
        if not self._deaf:
            self._misbehaved("closed its pipe")

    def _take(self, data: bytes) -> None:
        if self._deaf:
            return
        try:
            report = worker_messages.decode(data)
            self._check(report)
        except WireError as error:
            self._misbehaved(f"sent a message that makes no sense ({error})")
        else:
            self._owner.reported(self, report)

    def _check(self, report: Report) -> None:
        if report.pipeline not in self._names:
            raise WireError("a pipeline that is not its own")
        if isinstance(report, worker_messages.Ready):
            self._ready.add(report.pipeline)
        elif report.pipeline not in self._ready and not isinstance(report, worker_messages.Fault):
            raise WireError("news before its model was open")

    def _misbehaved(self, what: str) -> None:
        self._deaf = True
        self._owner.misbehaved(self, what)

    def _gone(self, how: str) -> None:
        """The process ended: read what it still said, then tell."""
        while self._read():
            pass
        pid = self.pid
        self._process = None
        log.debug("worker %s (pid %s) %s", self.order.name, pid, how)
        self.stage = self.heartbeat.model().read().stage
        self.discard()
        self._owner.exited(self, how)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors."""
    for descriptor in descriptors:
        os.close(descriptor)
