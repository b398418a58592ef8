"""Main's end of the pipe to a worker: reads what arrives, and refuses what no worker in order sends."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Generic, TypeVar

from edged.ipc.codec import WireError

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.ipc.codec import Codec

T = TypeVar("T")

AT_A_TIME = 64  # messages read before the rest of the event loop gets its turn


class PipeEnd(Generic[T]):
    """A SOCK_SEQPACKET socket pair, created before the process that gets the other end.

    ::

        worker ── datagrams ──▶ decode ──▶ take          until the other end is closed
                                   └─ WireError ──▶ misbehaved, once; everything after it is ignored

    Args:
        codec: parses the datagrams.
        take: receives each message. May raise ``WireError`` too.
        misbehaved: receives a sentence about the first message that was refused.
        closed: called when the other end was closed.

    Attributes:
        theirs: the other end, to be handed to the process and closed with :meth:`close_theirs`.

    Raises:
        OSError: there are no descriptors left.
    """

    def __init__(
        self,
        codec: Codec[T],
        *,
        take: Callable[[T], object],
        misbehaved: Callable[[str], object],
        closed: Callable[[], object] = lambda: None,
    ) -> None:
        self._codec = codec
        self._take = take
        self._misbehaved = misbehaved
        self._closed = closed
        self._ignoring = False
        self._loop = asyncio.get_running_loop()
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ours.setblocking(False)

    def listen(self) -> None:
        """Read messages from now on, on the running event loop."""
        self._loop.add_reader(self._ours, self._readable)

    def send(self, data: bytes) -> bool:
        """Send a datagram; return False where the other end is closed, or far behind."""
        try:
            return self._ours.send(data) > 0
        except OSError:
            return False

    def drain(self) -> None:
        """Read all that is left; for a process that has ended."""
        while self._read():
            pass

    def ignore(self) -> None:
        """Ignore whatever still arrives."""
        self._ignoring = True

    def refuse(self, why: str) -> None:
        """Ignore whatever still arrives and report why, unless it is ignored already."""
        if not self._ignoring:
            self._ignoring = True
            self._misbehaved(why)

    def close_theirs(self) -> None:
        """Close the other end, once the process has it; harmless when called twice."""
        self.theirs.close()

    def close(self) -> None:
        """Close this end, upon which the worker ends; harmless when called twice."""
        if self._ours.fileno() >= 0:
            self._loop.remove_reader(self._ours)
            self._ours.close()

    def _readable(self) -> None:
        was_open = self._ours.fileno() >= 0
        if not self._read() and was_open and self._ours.fileno() < 0 and not self._ignoring:
            self._closed()

    def _read(self) -> bool:
        """Read what has arrived; return whether there may be more."""
        for _ in range(AT_A_TIME):
            if self._ours.fileno() < 0:
                return False
            try:
                data = self._ours.recv(self._codec.max_bytes + 1)
            except BlockingIOError:
                return False
            except OSError:
                data = b""
            if not data:
                self.close()
                return False
            self._handle(data)
        return True

    def _handle(self, data: bytes) -> None:
        if self._ignoring:
            return
        try:
            self._take(self._codec.decode(data))
        except WireError as error:
            self.refuse(f"sent a message that makes no sense ({error})")
