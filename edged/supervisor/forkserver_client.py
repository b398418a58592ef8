"""Main's side of the fork server: starts it early, has it fork workers, replaces it when it dies or hangs."""

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

from edged.ipc.heartbeat import Stage
from edged.ipc.worker_order import PING
from edged.supervisor.worker_output import OutputPump
from edged.system import child, clock, process_memory
from edged.system.backoff import between_restarts
from edged.system.ending import Ending
from edged.system.processes import Process, kill_group

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.supervisor.worker_process import WorkerProcess

log = logging.getLogger(__name__)

HELLO_S = 60.0  # for the imports, which take 10 s on a slow board
FORK_S = 5.0
PING_S = 3.0
_KILLED_S = 1.0  # for a killed process to be gone
_POLL_S = 0.05  # for another process to be started
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36


class ForkServer:
    """Has workers forked, one at a time; to be used from one event loop.

    Args:
        output: takes what workers print; by default it is logged.
    """

    def __init__(self, output: OutputPump | None = None) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._pidfd = -1
        self._hello: asyncio.Future[object] | None = None
        self._answer: asyncio.Future[object] | None = None
        self._asking: asyncio.Task[dict[str, object]] | None = None  # whose question was sent
        self._turn = asyncio.Lock()
        self._backoff = between_restarts()
        self._stopping = False
        self._adopts = True
        self._output = output or OutputPump()

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process; needs no running event loop, so main can do it first of all."""
        libc = ctypes.CDLL(None)
        self._adopts = libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        # Or a worker could reach into this process, which has the network.
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = child.start(
                "edged.worker.forkserver",
                str(theirs.fileno()),
                str(os.getpid()),
                output=self._output.write_fd,  # standard output is for events
                pass_fds=[theirs.fileno()],
                process_group=0,  # so that what it was about to fork can be ended with it
            )
            self._pidfd = os.pidfd_open(self._process.pid)
            process_memory.keep(self._process.pid)
        except OSError:
            ours.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self._control, self._hello = ours, None

    async def fork(self, worker: WorkerProcess) -> int:
        """Have a worker forked and return its process id.

        Raises:
            OSError: with a sentence that says why. It is worth another try.
        """
        beat = worker.heartbeat.model()
        fds = [worker.theirs.fileno(), worker.heartbeat.fd, *worker.models]
        question = asyncio.get_running_loop().create_task(
            self._ask(
                replace(worker.order, adopts=self._adopts).to_json(),
                fds,
                FORK_S,
                lambda: beat.enter(Stage.STARTUP),
            )
        )
        try:
            answer = await asyncio.shield(question)
        except asyncio.CancelledError:
            if self._asking is not question:
                question.cancel()
            question.add_done_callback(_end_unwanted)
            raise
        if "pid" not in answer:
            raise OSError(str(answer.get("error", "the fork server sent a message that makes no sense")))
        return int(str(answer["pid"]))

    async def check(self) -> None:
        """Replace the process if it does not answer."""
        if self._turn.locked():
            return  # somebody waits for an answer already
        with contextlib.suppress(OSError):
            await self._ask(PING, [], PING_S)

    async def _ask(
        self, data: bytes, fds: list[int], timeout_s: float, about_to: Callable[[], object] = lambda: None
    ) -> dict[str, object]:
        """Send a question when its turn has come, and wait for its answer: none may be left over."""
        async with self._turn:
            control = await self._ready()
            self._answer = asyncio.get_running_loop().create_future()
            about_to()
            try:
                socket.send_fds(control, [data], fds)
                self._asking = asyncio.current_task()
                async with asyncio.timeout(timeout_s):  # wait_for of Python 3.11 loses a cancellation
                    answer = await self._answer
            except TimeoutError:
                self._kill()
                raise OSError(f"the fork server gave no answer within {timeout_s:g} s") from None
            except BlockingIOError:
                self._kill()
                raise OSError("the fork server does not read its orders") from None
            finally:
                self._answer = self._asking = None
        return answer if isinstance(answer, dict) else {}

    async def _ready(self) -> socket.socket:
        """Wait for the imports of the process, or for another process where it died."""
        while self._process is None or self._control is None:
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
            self._kill()
            raise OSError(f"the fork server was not ready within {HELLO_S:g} s") from None
        control = self._control
        if control is None:
            raise OSError("the fork server ended")
        return control

    def attend(self) -> None:
        """Read the process's answers from now on, on the running event loop."""
        loop = asyncio.get_running_loop()
        self._hello = loop.create_future()
        if self._control is not None:
            loop.add_reader(self._control, self._readable)
        loop.add_reader(self._pidfd, self._exited)
        loop.add_reader(self._output.read_fd, self._output.pump)

    def _readable(self) -> None:
        control = self._control
        try:
            data = control.recv(4096) if control is not None else b""
        except OSError:
            data = b""
        if not data:
            if control is not None:
                asyncio.get_running_loop().remove_reader(control)
            return  # the end of the process follows
        for future in (self._hello, self._answer):
            if future is not None and not future.done():
                future.set_result(json.loads(data))
                return

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _exited(self) -> None:
        how = Ending(None)
        if self._process is not None:
            kill_group(self._process.pid)  # with a worker that it forked and did not report
            how = Ending(self._process.wait())
        self._release()
        gone = OSError(f"the fork server {how}; the lines before this one may say why")
        for future in (self._hello, self._answer):
            if future is not None and not future.done():
                future.set_exception(gone)
                future.exception()  # perhaps nobody waits for it
        log.error("the fork server %s; starting another one", how)
        self._start_later()

    def _start_later(self) -> None:
        pause_s = self._backoff.pause_s(clock.monotonic())
        asyncio.get_running_loop().call_later(pause_s, self._again)

    def _again(self) -> None:
        if self._stopping or self._process is not None:
            return
        try:
            self.start()
        except OSError as error:
            log.error("the fork server cannot be started: %s", error)  # noqa: TRY400 - a sentence for people
            self._release()
            self._start_later()
        else:
            self.attend()

    def _release(self) -> None:
        if self._hello is not None:
            loop = asyncio.get_running_loop()
            if self._pidfd >= 0:
                loop.remove_reader(self._pidfd)
            if self._control is not None:
                loop.remove_reader(self._control)
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            process_memory.forget(self._process.pid)
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._process, self._control, self._pidfd = None, None, -1

    def stop(self) -> None:
        """End the process."""
        self._stopping = True
        if self._process is not None:
            kill_group(self._process.pid)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_KILLED_S)
            self._release()
        gone = OSError("edged is stopping")
        for future in (self._hello, self._answer):
            if future is not None and not future.done():
                future.set_exception(gone)
                future.exception()
        if self._output.read_fd >= 0:
            with contextlib.suppress(RuntimeError):  # perhaps there never was an event loop
                asyncio.get_running_loop().remove_reader(self._output.read_fd)
            self._output.pump()
            self._output.close()


def _end_unwanted(question: asyncio.Task[dict[str, object]]) -> None:
    """End a worker that nobody waits for any more."""
    if question.cancelled() or question.exception() is not None:
        return
    pid = question.result().get("pid")
    if isinstance(pid, int):
        Process(pid, lambda _how: None).kill()
