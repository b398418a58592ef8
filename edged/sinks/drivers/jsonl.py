"""JSON lines: one event a line, on standard output or in a file that is rotated by size.

A reader that stopped reading must not stop the daemon, so nothing here waits longer than ``PATIENCE_S``: a
pipe is polled before it is written to, in pieces that it takes whole.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, StringConstraints

from edged.drivers import PathOrDash, Section
from edged.errors import Reason, Unavailable
from edged.sinks import KeyProblem, SinkConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PATIENCE_S = 0.2
# O_NONBLOCK means nothing to a file and keeps a FIFO without a reader from holding up the daemon.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
_REASONS = {
    errno.EPIPE: Reason.LOST,
    errno.ENXIO: Reason.ABSENT,
    errno.ENOENT: Reason.ABSENT,
    errno.EACCES: Reason.DENIED,
    errno.EPERM: Reason.DENIED,
    errno.EROFS: Reason.DENIED,
    errno.EAGAIN: Reason.TIMEOUT,
}


class Jsonl(Section):
    """JSON lines, one event a line."""

    path: Annotated[PathOrDash, StringConstraints(min_length=1)] = Field(
        default="-", description='"-" is standard output, else a file in an existing folder'
    )
    max_mb: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        default=16, description="rotate a file at this size, in MB"
    )
    keep: Annotated[int, Field(ge=0, le=99)] = Field(default=3, description="rotated files to keep")

    def problems(self) -> Iterator[KeyProblem]:
        """Yield what is wrong with the file's place."""
        file = Path(self.path)
        if self.path == "-":
            return
        if not _is_folder(file.parent):
            yield KeyProblem("path", f"there is no folder {file.parent}", "create it")
        elif _is_folder(file):
            yield KeyProblem("path", f"{file} is a folder", "name a file in it")


class Config(Jsonl, SinkConfig):
    """JSON lines as one of the sinks."""


def create(config: Jsonl) -> JsonlSink:
    """Return the sink; nothing is opened yet."""
    return JsonlSink(config.path, max_mb=config.max_mb, keep=config.keep)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # such as a name that is too long
        return False


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

    def send(self, event: bytes) -> None:
        """Write one line. Raises ``Unavailable`` when it is lost."""
        line = event + b"\n"
        try:
            self._open()
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

    def _open(self) -> None:
        if self._fd is not None:
            return
        try:
            self._fd = sys.stdout.fileno() if self._path is None else os.open(self._path, _FLAGS, 0o640)
            self._may_block = not stat.S_ISREG(os.fstat(self._fd).st_mode)
        except (OSError, ValueError) as error:
            raise self._unavailable(error) from error

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
        self._open()

    def _numbered(self, number: int) -> Path:
        assert self._path is not None  # noqa: S101  # only files rotate
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _unavailable(self, error: Exception) -> Unavailable:
        number = error.errno if isinstance(error, OSError) else None
        reason = _REASONS.get(number or 0, Reason.LOST)
        return Unavailable(reason, f"{self._name}: {getattr(error, 'strerror', None) or error}")
