"""One worker process, as main holds it: its pipe, its pulse, and a handle that cannot hit another process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING, Protocol

from edged import wire
from edged.events import MAX_BYTES
from edged.pulse import Pulse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.wire import Report
    from edged.worker.order import Order

log = logging.getLogger(__name__)

_AT_A_TIME = 64  # reports read before others get their turn


class Owner(Protocol):
    """Hears of a worker."""

    def reported(self, worker: Worker, report: Report) -> None:
        """It sent a report that is in order."""

    def misbehaved(self, worker: Worker, what: str) -> None:
        """It sent something else."""

    def exited(self, worker: Worker, how: str) -> None:
        """It is gone; ``how`` is a sentence. The last call for this worker."""


class Worker:
    """Created before the process: the ends that it gets are handed to the fork server with the order.

    Attributes:
        order: what it was asked to do.
        models: descriptors of the models that the order speaks of; closed when it was forked.
        pulse: what it is doing.
        pid: None until it was forked, and after it ended.
    """

    def __init__(self, order: Order, owner: Owner, models: Sequence[int] = ()) -> None:
        self.order = order
        self.models = models
        self.pulse = Pulse.create()
        self.pid: int | None = None
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._pipe, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe.setblocking(False)
        self._pidfd = -1
        self._over = False

    def born(self, pid: int) -> None:
        """The fork server forked it."""
        self._close_theirs()
        self._loop.add_reader(self._pipe, self._readable)
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._loop.call_soon(self._gone)
            return
        self.pid = pid
        self._loop.add_reader(self._pidfd, self._gone)

    def kill(self) -> None:
        """End it now; ``exited`` follows."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def ask_to_stop(self) -> None:
        """Close the pipe, upon which it closes its sources and ends."""
        self._close_pipe()

    def discard(self) -> None:
        """Give everything back without another word; for a worker that was never born, or at the end."""
        self._over = True
        self.kill()
        self._close_pipe()
        self._close_theirs()
        self.pulse.close()
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            self._reap()
            os.close(self._pidfd)
            self._pidfd = -1

    def _close_theirs(self) -> None:
        self.theirs.close()
        for model in self.models:
            os.close(model)
        self.models = ()

    def _close_pipe(self) -> None:
        if self._pipe.fileno() >= 0:
            self._loop.remove_reader(self._pipe)
            self._pipe.close()

    def _readable(self) -> None:
        for _ in range(_AT_A_TIME):
            if self._over or self._pipe.fileno() < 0:
                return
            try:
                data = self._pipe.recv(MAX_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close_pipe()  # its end is told by the process itself
                return
            self._take(data)

    def _take(self, data: bytes) -> None:
        try:
            report = wire.decode(data)
            if all(report.pipeline != seat.name for seat in self.order.seats):
                raise wire.WireError("a pipeline that is not its own")  # noqa: TRY301 - the same refusal
        except wire.WireError as error:
            self._owner.misbehaved(self, str(error))
        else:
            self._owner.reported(self, report)

    def _gone(self) -> None:
        """The process ended: read what it still said, then tell."""
        if self._over:
            return
        self._readable()
        how = self._reap()
        if how is None:
            return
        pid, self.pid = self.pid, None
        log.debug("worker %s (pid %s) %s", self.order.name, pid, how)
        self.discard()
        self._owner.exited(self, how)

    def _reap(self) -> str | None:
        """Collect the exit status and put it in words; None while it runs."""
        if self._pidfd < 0:
            return "ended at once"
        try:
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return "ended"
        if status is None:
            return None
        if status.si_code == os.CLD_EXITED:
            return f"ended with exit status {status.si_status}"
        try:
            name = signal.Signals(status.si_status).name
        except ValueError:
            name = f"signal {status.si_status}"
        return f"was ended by {name}"
