"""JSON lines: one event a line, on standard output or in a file that is rotated by size.

A reader that stopped reading must not stop the daemon, so nothing here waits longer than ``PATIENCE_S``: a
pipe is polled before it is written to, in pieces that it takes whole.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from edged.errors import Reason, Unavailable
from edged.system.backoff import Backoff

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.spool import Spool

log = logging.getLogger(__name__)

PATIENCE_S = 0.2
SHORTEST_S, LONGEST_S = 1.0, 30.0  # before a line that was not taken is tried again
AT_ONCE = 50  # rows between two turns of the event loop
_REASONS = {
    errno.EPIPE: Reason.LOST,
    errno.ENXIO: Reason.ABSENT,
    errno.ENOENT: Reason.ABSENT,
    errno.EACCES: Reason.DENIED,
    errno.EPERM: Reason.DENIED,
    errno.EROFS: Reason.DENIED,
    errno.EAGAIN: Reason.TIMEOUT,
}


class JsonlSink:
    """Writes each event as one line, at once.

    A line that cannot be written raises ``Unavailable`` and is counted; the next one is tried again, and
    begins on a line of its own even if the last one was cut in two.

    Args:
        path: the file; ``-`` is standard output.
        max_mb: a file is rotated before it exceeds this size, in MB.
        keep: rotated files to keep.
    """

    def __init__(self, path: str = "-", *, max_mb: float = 16, keep: int = 3) -> None:
        self._path = None if path == "-" else Path(path)
        self._name = "standard output" if path == "-" else path
        self._max_bytes = int(max_mb * 1_000_000)
        self._keep = keep
        self._fd: int | None = None
        self._may_block = False  # a pipe, socket or terminal
        self._torn = False  # the last line was cut in two
        self._sent = 0
        self._failed: Counter[str] = Counter()

    @property
    def sent(self) -> int:
        """Lines written."""
        return self._sent

    @property
    def failed(self) -> Mapping[str, int]:
        """Lines lost, by reason."""
        return dict(self._failed)

    def open(self) -> None:
        """Open the file, or take standard output. Raises ``Unavailable``."""
        if self._fd is not None:
            return
        try:
            self._fd = self._open()
            self._may_block = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:
            raise self._unavailable(error) from error

    def send(self, event: bytes) -> None:
        """Write one line. Raises ``Unavailable`` when it is lost."""
        line = event + b"\n"
        try:
            self.open()
            self._rotate(len(line))
            self._write(b"\n" + line if self._torn else line)
        except Unavailable as error:
            self._failed[error.reason.value] += 1
            raise
        except OSError as error:
            lost = self._unavailable(error)
            self._failed[lost.reason.value] += 1
            raise lost from error
        self._torn = False
        self._sent += 1

    def close(self) -> None:
        """Close the file; harmless when called twice. Standard output is the process's and stays open."""
        if self._fd is not None and self._path is not None:
            os.close(self._fd)
        self._fd = None

    def _open(self) -> int:
        if self._path is None:
            return sys.stdout.fileno()
        # O_NONBLOCK means nothing to a file and keeps a FIFO without a reader from holding up the daemon.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self._path, flags, 0o640)

    def _write(self, data: bytes) -> None:
        assert self._fd is not None  # noqa: S101  # send() opened it
        rest = memoryview(data)
        while rest:
            if self._may_block and not self._ready(self._fd):
                raise Unavailable(Reason.TIMEOUT, f"{self._name}: nobody reads it")
            # A pipe that reports itself writable takes PIPE_BUF bytes without blocking.
            rest = rest[os.write(self._fd, rest[: select.PIPE_BUF] if self._may_block else rest) :]
            self._torn = True

    @staticmethod
    def _ready(fd: int) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(PATIENCE_S * 1000))

    def _rotate(self, coming: int) -> None:
        if self._path is None or self._may_block or self._fd is None:
            return
        size = os.fstat(self._fd).st_size
        if size == 0 or size + coming <= self._max_bytes:
            return
        self.close()
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        if self._keep == 0:
            self._path.unlink(missing_ok=True)
        self._torn = False
        self.open()

    def _numbered(self, number: int) -> Path:
        assert self._path is not None  # noqa: S101  # only files rotate
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _unavailable(self, error: Exception) -> Unavailable:
        number = error.errno if isinstance(error, OSError) else None
        reason = _REASONS.get(number or 0, Reason.LOST)
        return Unavailable(reason, f"{self._name}: {getattr(error, 'strerror', None) or error}")


class _Timer(Protocol):
    def cancel(self) -> None:
        """Make no call any more."""


class SpooledLines:
    """Takes events out of the spool and writes them; what is not taken waits there.

    Args:
        sink: writes the lines.
        spool: where events wait.
        call_later: ``loop.call_later``.
    """

    def __init__(
        self, sink: JsonlSink, spool: Spool, call_later: Callable[[float, Callable[[], None]], _Timer]
    ) -> None:
        self._sink = sink
        self._spool = spool
        self._call_later = call_later
        self._retry: _Timer | None = None
        self._backoff = Backoff(SHORTEST_S, LONGEST_S)
        self._trouble = ""

    @property
    def state(self) -> str:
        """``none``: there is no broker; ``not written`` while lines are not taken."""
        return "not written" if self._trouble else "none"

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""
        return self._trouble or "events are written as JSON lines"

    @property
    def degraded(self) -> Literal[""]:
        """Nothing: there is no login here."""
        return ""

    def open(self) -> None:
        """Write what waits."""
        self.drain()

    def check(self) -> None:
        """Do nothing: a line that was not taken is tried again by itself."""

    def drain(self) -> None:
        """Write what waits, ``AT_ONCE`` rows at a time; after a failure, pause first."""
        if self._retry is None and self._write():
            self._later(0.0)

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Do nothing: there are no topics."""

    def result(self, pipeline: str, payload: bytes) -> None:
        """Write one inference, or drop it where the line before was not taken."""
        del pipeline
        self.reading(payload)

    def reading(self, line: bytes) -> None:
        """Write one reading, or drop it where the line before was not taken."""
        if not self._trouble:
            self._try(line)

    def close(self, timeout_s: float) -> None:
        """Write what still waits, and end; what is not taken at once stays in the spool."""
        del timeout_s  # the sink never waits longer than its patience, and the first failure ends this
        if self._retry is not None:
            self._retry.cancel()
        while not self._trouble and self._write():
            pass
        self._sink.close()

    def _write(self) -> bool:
        """Write some rows; return whether there may be more."""
        rows = self._spool.pending(AT_ONCE)
        for number, row in enumerate(rows):
            if not self._try(row.message(replayed=False)):
                self._spool.released([rest.sequence for rest in rows[number:]])
                self._later(self._backoff.pause_s())
                return False
            self._spool.acknowledged(row.sequence)
        return len(rows) == AT_ONCE

    def _try(self, line: bytes) -> bool:
        try:
            self._sink.send(line)
        except Unavailable as error:
            if not self._trouble:
                log.warning("events are not written and wait: %s", error)
            self._trouble = str(error)
            return False
        if self._trouble:
            log.info("events are written again")
        self._trouble = ""
        self._backoff.reset()
        return True

    def _later(self, delay_s: float) -> None:
        self._retry = self._call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self.drain()
