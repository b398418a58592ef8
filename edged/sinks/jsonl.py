"""JSON lines: one event a line, on standard output or in a file that is rotated by size.

A reader that stopped reading must not stop the daemon, so nothing here waits longer than ``PATIENCE_S``:
pipes are asked before they are written to, in pieces that a pipe takes whole.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

PATIENCE_S = 0.2
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
    """

    def __init__(self, path: str = "-", *, max_mb: float = 16, keep: int = 3) -> None:
        self._path = None if path == "-" else Path(path)
        self._name = "standard output" if path == "-" else path
        self._max_bytes = int(max_mb * 1_000_000)
        self._keep = keep
        self._fd: int | None = None
        self._asks = False  # a pipe, socket or terminal, which may block
        self._torn = False
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
            self._asks = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:
            raise self._unavailable(error) from error

    def send(self, event: bytes | Event) -> None:
        """Write one line. Raises ``Unavailable`` when it is lost."""
        line = (event.to_json() if isinstance(event, Event) else event) + b"\n"
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
        # O_NONBLOCK means nothing to a file and keeps a FIFO without a reader from holding the daemon.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        return os.open(self._path, flags, 0o640)

    def _write(self, data: bytes) -> None:
        assert self._fd is not None  # noqa: S101  # send() opened it
        rest = memoryview(data)
        while rest:
            if self._asks and not self._ready(self._fd):
                raise Unavailable(Reason.TIMEOUT, f"{self._name}: nobody reads it")
            # A pipe that says it is writable takes PIPE_BUF bytes without blocking.
            rest = rest[os.write(self._fd, rest[: select.PIPE_BUF] if self._asks else rest) :]
            self._torn = True

    @staticmethod
    def _ready(fd: int) -> bool:
        poll = select.poll()
        poll.register(fd, select.POLLOUT)
        return bool(poll.poll(PATIENCE_S * 1000))

    def _rotate(self, coming: int) -> None:
        if self._path is None or self._asks or self._fd is None:
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
