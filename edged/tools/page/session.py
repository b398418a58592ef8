"""Runs the pipeline and serves the page until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from typing import TYPE_CHECKING, Protocol

from edged.errors import Refused
from edged.supervisor import Supervisor
from edged.system.isolation import not_isolated, suffices
from edged.system.log import to_a_person
from edged.tools.page import requests
from edged.tools.page.requests import Answer, Unacceptable
from edged.tools.page.site import Site, number_of

if TYPE_CHECKING:
    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus
    from edged.tools.page.address import Address
    from edged.tools.page.subject import Subject

log = logging.getLogger(__name__)

STOP_S = 2.0  # for the worker to close its source
MOST_CONNECTIONS = 32  # at a time, without those that the worker has
_FINAL = frozenset({"model", "driver", "isolation"})  # kinds of faults that nothing but a new start mends


class View(Protocol):
    """Shows what a person at the terminal has to know."""

    def ready(self, address: Address) -> None:
        """Show how the page is opened: the pipeline runs."""

    def note(self, sentence: str) -> None:
        """Show a warning or another note."""


def serve(subject: Subject, address: Address, view: View) -> int:
    """Serve the page until a signal arrives; return the exit status.

    Raises:
        Refused: the pipeline cannot start.
        BrokenPipeError: the reader of the output has closed the pipe.
        KeyboardInterrupt: Ctrl-C.
    """
    to_a_person(view.note)

    async def run() -> int:
        return await Session(subject, address, view).run()

    return asyncio.run(run())


class Session:
    """The supervisor's listener for the one pipeline, and the server of its page."""

    def __init__(self, subject: Subject, address: Address, view: View) -> None:
        self._subject = subject
        self._address = address
        self._view = view
        self._site = Site(subject, address.token)
        self._pictures, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pictures.shutdown(socket.SHUT_RD)  # a worker has nothing to say here
        self._pictures.setblocking(False)
        self._connections: set[asyncio.Task[None]] = set()
        self._ran = False
        self._reported = ""
        self._noted: set[str] = set()
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._supervisor = Supervisor(
            {},
            isolation=subject.isolation,
            listener=self,
            results=True,
            pictures=self._theirs.fileno(),
        )
        self._supervisor.prepare()

    async def run(self) -> int:
        """Run the pipeline and serve, and stop both cleanly however that ended."""
        loop = asyncio.get_running_loop()
        for sent in (signal.SIGTERM, signal.SIGHUP):  # also where the terminal was closed
            loop.add_signal_handler(sent, self._finish, 128 + sent)
        serving = loop.create_task(self._serve())
        try:
            await self._supervisor.start()
            await self._supervisor.apply({self._subject.name: self._subject.section}, self._subject.isolation)
            return await self._done
        finally:
            for task in (serving, *self._connections):
                task.cancel()
            await self._supervisor.stop(STOP_S)
            self._pictures.close()
            self._theirs.close()

    # Called by the supervisor.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Show a result or a decision."""
        self._site.outcome(outcome, status)

    def changed(self, status: PipelineStatus) -> None:
        """Show the state, and report faults; what never ran is given up."""
        self._site.changed(status)
        for sentence in status.notes.values():
            self._note(sentence)
        if status.fault and (status.fault in _FINAL or not self._ran):
            hint = "; stop the service for it: sudo systemctl stop edged" if status.reason == "busy" else ""
            self._fail(Refused(f"{status.last_error}{hint}"))
        elif status.fault and status.last_error != self._reported:
            self._reported = status.last_error
            self._view.note(f"{status.last_error}; trying again")
        elif status.state == "ended" and not self._ran:
            sentence = status.last_error or f"{self._subject.source}: it holds no readable picture"
            self._fail(Refused(sentence, os.EX_NOINPUT))
        elif status.state == "running":
            self._ready()
            if not status.network and not suffices(status.isolation):
                who = "WARNING: the process that holds the pictures"
                self._note(f"{not_isolated(who, status.isolation)}; sudo apt install bubblewrap")

    def _ready(self) -> None:
        if not self._ran:
            self._ran = True
            try:
                self._view.ready(self._address)
            except OSError as error:  # the reader of standard output has closed the pipe
                self._fail(error)

    def _note(self, sentence: str) -> None:
        if sentence not in self._noted:
            self._noted.add(sentence)
            self._view.note(sentence)

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)

    def _finish(self, code: int) -> None:
        if not self._done.done():
            self._done.set_result(code)

    # The server.

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _peer = await loop.sock_accept(self._address.listener)
            except OSError as error:  # no descriptor is left, for instance
                log.error("a connection cannot be accepted: %s", error)  # noqa: TRY400 - a sentence
                await asyncio.sleep(1)
                continue
            if len(self._connections) >= MOST_CONNECTIONS:
                connection.close()
                continue
            task = loop.create_task(self._attend(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def _attend(self, connection: socket.socket) -> None:
        """Answer the one request of a connection."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        with connection, contextlib.suppress(OSError):  # TimeoutError is one
            async with asyncio.timeout(requests.PATIENCE_S):
                try:
                    request = await requests.read(connection)
                    answer = self._site.answer(request)
                except Unacceptable as error:
                    answer = requests.refusal(error)
                await loop.sock_sendall(connection, answer.sent)
                if answer.body is None:
                    self._hand_over(connection, answer, number_of(request.query))

    def _hand_over(self, connection: socket.socket, answer: Answer, seen: int) -> None:
        """Give the connection to the worker, which writes the picture: this process never has one.

        The head was written here and ends the connection with its body, so that whatever a worker writes, the
        browser takes it for a picture and for no other answer.
        """
        assert b"Connection: close" in answer.head  # noqa: S101 - the browser relies on it
        socket.send_fds(self._pictures, [b"%d" % seen], [connection.fileno()])
