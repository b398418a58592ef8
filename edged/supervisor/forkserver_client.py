"""Main's side of the fork server: started or connected to, asked for workers, replaced when it dies or hangs.

By hand it is a child of main in namespaces of its own (:mod:`edged.system.namespaces`). Under systemd it
is another unit, which another user runs: main connects to the socket that ``EDGED_WORKERS`` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import socket
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

from edged.ipc import forkserver_requests as requests
from edged.ipc.heartbeat import Stage
from edged.supervisor.worker_output import OutputPump
from edged.system import child, clock, isolation, namespaces
from edged.system.backoff import between_restarts
from edged.system.ending import Ending
from edged.system.needs import Needs
from edged.system.processes import Process, pid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.supervisor.worker_process import WorkerProcess

log = logging.getLogger(__name__)

HELLO_S = 60.0  # for the imports, which take 10 s on a slow board
FORK_S = 5.0
PING_S = 3.0
SOCKET, NETWORK_SOCKET = "EDGED_WORKERS", "EDGED_NETWORK_WORKERS"  # where systemd listens for main
_KILLED_S = 1.0  # for a killed process to be gone
_POLL_S = 0.05  # for another process to be started
_PR_SET_DUMPABLE = 4
_MOST_FDS = 1  # with a message: a pidfd


class _Replaced(OSError):  # noqa: N818 - what became of a process
    """The fork server ended on purpose, for another one."""


class ForkServer:
    """Forks workers on request, one at a time; may be used from one event loop.

    Args:
        output: takes what workers print; by default it is logged.
        network: its workers keep the network, for cameras that are reached over one.
    """

    def __init__(self, output: OutputPump | None = None, *, network: bool = False) -> None:
        self._socket = os.environ.get(NETWORK_SOCKET if network else SOCKET, "")
        self._network = network
        self._needs = Needs(network=network)
        self._seen: namespaces.Signature = {}  # what its files and devices were at the start
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._pid = 0
        self._walls: tuple[str, ...] = ()
        self._workers: dict[int, Process] = {}  # by the process id that the fork server reported
        self._hello: asyncio.Future[None] | None = None
        self._answer: asyncio.Future[dict[str, object] | Process] | None = None
        self._asking: asyncio.Task[Process] | None = None  # whose question was sent
        self._turn = asyncio.Lock()
        self._backoff = between_restarts()
        self._stopping = False
        self._wanted = ""  # why another one is to take its place
        self._output = output or OutputPump()

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process that has greeted."""
        return self._pid or None

    @property
    def is_started(self) -> bool:
        """Return whether there is a process, or one is about to be started again."""
        return self._control is not None or self._hello is not None

    @property
    def is_service(self) -> bool:
        """Return whether systemd runs it, as another user."""
        return bool(self._socket)

    @property
    def walls(self) -> tuple[str, ...]:
        """The walls around it, and so around each worker, which adds more itself; known once it is ready."""
        return self._walls

    def show(self, needs: Needs) -> bool:
        """Let workers reach this too; return whether the process has to be replaced for it."""
        if self._socket or (self._control is not None and self._needs.covers(needs)):
            return False
        running = self._control is not None
        self._needs = needs
        return running

    def is_outdated(self, *, waiting: bool) -> bool:
        """Return whether workers see something else than is there now.

        Args:
            waiting: also where a device or a file has only come, for which somebody may wait.
        """
        if self._socket or self._control is None or namespaces.bubblewrap() is None:
            return False
        now = namespaces.signature(self._needs)
        return now != self._seen if waiting else namespaces.is_stale(self._seen, now)

    def start_early(self) -> None:
        """Connect to a service, before anything is known of the configuration.

        A child of main is started later: it has to know first which files and devices its workers may see.
        """
        if self._socket:
            with contextlib.suppress(OSError):  # tried again, and reported, when it is needed
                self.start()

    def start(self) -> None:
        """Start the process, or connect to it; needs no running event loop.

        Raises:
            OSError: that is not possible.
        """
        # Or a worker could reach into this process, which has the network.
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        if self._socket:
            control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            try:
                control.connect(self._socket)
                socket.send_fds(control, [requests.OUTPUT], [self._output.write_fd])
            except OSError:
                control.close()
                raise
        else:
            control = self._spawn()
        control.setblocking(False)
        self._control, self._hello, self._pid = control, None, 0

    def _spawn(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        bwrap = namespaces.bubblewrap()
        self._seen = namespaces.signature(self._needs)
        command = child.interpreter("edged.worker.forkserver", str(theirs.fileno()))
        if bwrap is not None:
            command = namespaces.command(command, self._needs, bwrap=bwrap, first=True)
        try:
            self._process = child.start(
                command,
                output=self._output.write_fd,  # standard output is for events
                pass_fds=[theirs.fileno()],
                process_group=0,  # so that what it was about to fork can be ended with it
                environment=namespaces.environment(),
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    async def fork(self, worker: WorkerProcess) -> Process:
        """Have a worker forked and return its process.

        Raises:
            OSError: with a sentence that says why. It is worth another try.
        """
        await self.ready()
        beat = worker.heartbeat.model()
        fds = [worker.theirs.fileno(), worker.heartbeat.fd, *worker.models]
        request = requests.fork(replace(worker.order, walls=self.walls))
        return await self._fork(request, fds, lambda: beat.enter(Stage.STARTUP))

    async def start_sensors(self, fds: Sequence[int]) -> Process:
        """Have the sensor worker started and return its process.

        Args:
            fds: its pipe, its settings, the readings page.

        Raises:
            OSError: with a sentence that says why. It is worth another try.
        """
        return await self._fork(requests.SENSORS, fds)

    async def _fork(
        self, request: bytes, fds: Sequence[int], about_to: Callable[[], object] = lambda: None
    ) -> Process:
        question = asyncio.get_running_loop().create_task(self._forked(request, fds, about_to))
        try:
            return await asyncio.shield(question)
        except asyncio.CancelledError:
            if self._asking is not question:
                question.cancel()
            question.add_done_callback(_end_unwanted)
            raise

    async def _forked(self, request: bytes, fds: Sequence[int], about_to: Callable[[], object]) -> Process:
        while True:
            try:
                answer = await self._ask(request, fds, FORK_S, about_to)
            except _Replaced:
                continue  # asked of one that had to make room
            break
        if not isinstance(answer, Process):
            raise OSError(str(answer.get("error", "the fork server sent a message that makes no sense")))
        return answer

    async def check(self) -> None:
        """Replace the process if it does not answer."""
        if self._turn.locked():
            return  # somebody waits for an answer already
        with contextlib.suppress(OSError):
            await self._ask(requests.PING, [], PING_S)

    async def _ask(
        self,
        data: bytes,
        fds: Sequence[int],
        timeout_s: float,
        about_to: Callable[[], object] = lambda: None,
    ) -> dict[str, object] | Process:
        """Send a question when its turn has come, and wait for its answer: none may be left over."""
        async with self._turn:
            control = await self.ready()
            self._answer = asyncio.get_running_loop().create_future()
            about_to()
            try:
                socket.send_fds(control, [data], fds)
                self._asking = asyncio.current_task()
                async with asyncio.timeout(timeout_s):  # wait_for of Python 3.11 forgets a cancellation
                    return await self._answer
            except TimeoutError:
                self.kill()
                raise OSError(f"the fork server gave no answer within {timeout_s:g} s") from None
            except BlockingIOError:
                self.kill()
                raise OSError("the fork server does not read its requests") from None
            finally:
                self._answer = self._asking = None

    async def ready(self) -> socket.socket:
        """Wait for the imports of the process, or for another one to be started where it died.

        With its greeting the kernel is asked what is around it.

        Raises:
            OSError: it is not ready in time, or edged is stopping.
        """
        while self._control is None or self._wanted:
            if self._stopping:
                raise OSError("edged is stopping")
            await asyncio.sleep(_POLL_S)
        if self._hello is None:
            self.attend()
        hello = self._hello
        try:
            async with asyncio.timeout(HELLO_S):
                await asyncio.shield(hello) if hello is not None else None
        except TimeoutError:
            self.kill()
            raise OSError(f"the fork server was not ready within {HELLO_S:g} s") from None
        control = self._control
        if control is None:
            raise OSError("the fork server ended")
        return control

    def attend(self) -> None:
        """Read its messages from now on, on the running event loop."""
        loop = asyncio.get_running_loop()
        self._hello = loop.create_future()
        if self._control is not None:
            loop.add_reader(self._control, self._readable)
        loop.add_reader(self._output.read_fd, self._output.pump)

    def _readable(self) -> None:
        control = self._control
        if control is None:
            return
        try:
            data, fds, _flags, _address = socket.recv_fds(control, requests.MAX_ANSWER, _MOST_FDS)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        if data:
            self._take(json.loads(data), fds)
        else:
            self._gone()

    def _take(self, message: dict[str, object], fds: list[int]) -> None:
        """Take an answer, the greeting, or the report that a worker ended."""
        if "exited" in message:
            worker = self._workers.pop(int(str(message["exited"])), None)
            if worker is not None:
                worker.finish(Ending(int(str(message["status"]))))
        elif self._hello is not None and not self._hello.done():
            self._pid = pid_of(fds[0]) if fds else 0
            self._walls = isolation.around(self._pid)
            for fd in fds:
                os.close(fd)
            self._hello.set_result(None)
        elif "pid" in message and fds:
            number = int(str(message["pid"]))
            worker = self._workers[number] = Process(number, fds[0], self._kill_worker)
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(worker)
            else:
                worker.kill()  # nobody waits for it any more
        elif self._answer is not None and not self._answer.done():
            self._answer.set_result(message)

    def _kill_worker(self, number: int) -> None:
        if self._control is not None:
            with contextlib.suppress(OSError):
                self._control.send(requests.kill(number))

    def replace(self, why: str) -> None:
        """End the process and all its workers on purpose; another one is started at once."""
        log.info("starting another fork server: %s", why)
        self._wanted = why
        self.kill()

    def kill(self) -> None:
        """End the process and all its workers; another one is started."""
        if self._process is not None:
            self._process.kill()
        elif self._control is not None:
            asyncio.get_running_loop().call_soon(self._gone)  # it ends when the socket is closed

    def _gone(self) -> None:
        """Clean up after the process, and start the next one."""
        if self._control is None:
            return
        status = self._reap()
        self._release()
        gone = (_Replaced if self._wanted else OSError)(
            f"the fork server ended{status}; the lines before this one may say why"
        )
        for future in (self._hello, self._answer):
            if future is not None and not future.done():
                future.set_exception(gone)
                future.exception()  # it may be that nobody waits for it
        wanted, self._wanted = self._wanted, ""
        ending = Ending(None, wanted or "ended with the fork server", wanted=bool(wanted))
        workers, self._workers = self._workers, {}
        for worker in workers.values():
            worker.finish(ending)
        if wanted:
            self._restart()
        elif not self._stopping:
            log.error("the fork server ended%s; starting another one", status)
            self._start_later()

    def _reap(self) -> str:
        """Make sure that the process is gone; return how it ended, where that is known."""
        if self._process is None:
            return ""
        self._process.kill()
        status = Ending(self._process.wait())
        return f" ({status})" if status.signal or status.status else ""

    def _start_later(self) -> None:
        pause_s = self._backoff.pause_s(clock.monotonic())
        asyncio.get_running_loop().call_later(pause_s, self._restart)

    def _restart(self) -> None:
        if self._stopping or self._control is not None:
            return
        try:
            self.start()
        except OSError as error:
            log.error("the fork server cannot be started: %s", error)  # noqa: TRY400 - a sentence for people
            self._start_later()
        else:
            self.attend()

    def _release(self) -> None:
        if self._control is not None:
            if self._hello is not None:
                asyncio.get_running_loop().remove_reader(self._control)
            self._control.close()
        self._process, self._control, self._pid = None, None, 0

    def stop(self) -> None:
        """End the process, and with it every worker that is still there."""
        self._stopping = True
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILLED_S)
        if self._hello is not None and self._control is not None:
            self._gone()
        else:
            self._release()
        if self._output.read_fd >= 0:
            with contextlib.suppress(RuntimeError):  # it may never have run on an event loop
                asyncio.get_running_loop().remove_reader(self._output.read_fd)
            self._output.pump()
            self._output.close()


def _end_unwanted(question: asyncio.Task[Process]) -> None:
    """End a worker whose owner went away while it was forked."""
    if not question.cancelled() and question.exception() is None:
        question.result().kill()
