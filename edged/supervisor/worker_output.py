"""Logs what workers and their libraries print, at a bounded rate.

C++ libraries complain once per frame where a camera or a file is bad, and cannot be silenced. So workers
print into a pipe, and main logs as much as a person can read: a burst, then a line now and then, with the
number of lines left out. What is known to repeat a sentence of edged's own is left out at once.
"""

from __future__ import annotations

import logging
import os
import re
from typing import TYPE_CHECKING

from edged.system import clock
from edged.system.token_bucket import TokenBucket
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

BURST = 40  # lines at once
REFILL_S = 10.0  # for one more
LONGEST = 500  # characters per line
_CHUNK = 16384
_MOST_PENDING = 4 * _CHUNK  # bytes without a line end
_PRIORITY = re.compile(r"<([0-7])>")  # in front of a line that edged itself logged: sd-daemon(3)
# What libjpeg and libpng print about a picture that is damaged, which edged leaves out and names itself.
_NOISE = (
    "Corrupt JPEG data: ",
    "Premature end of JPEG file",
    "Invalid JPEG file structure",
    "libpng warning: ",
)
_LEVELS = {2: logging.CRITICAL, 3: logging.ERROR, 4: logging.WARNING, 6: logging.INFO, 7: logging.DEBUG}


class Lines:
    """Splits bytes into lines and passes on a bounded number of them.

    Args:
        write: takes the level and the text of a line.
        now: returns monotonic time in s.
    """

    def __init__(
        self, write: Callable[[int, str], object] = log.log, now: Callable[[], float] = clock.monotonic
    ) -> None:
        self._write = write
        self._rest = b""
        self._bucket = TokenBucket(1 / REFILL_S, BURST, now)
        self._left_out = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MOST_PENDING:
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._line(line[: 4 * LONGEST].decode(errors="replace").rstrip())

    def _line(self, text: str) -> None:
        if not text or text.startswith(_NOISE):
            return
        if not self._bucket.take():
            self._left_out += 1
            return
        if self._left_out:
            self._write(logging.WARNING, f"{self._left_out} lines of workers are left out here")
            self._left_out = 0
        found = _PRIORITY.match(text)
        level = _LEVELS.get(int(found[1]), logging.INFO) if found else logging.WARNING
        plain = text[found.end() :] if found else text
        self._write(level, printable(plain[:LONGEST]))


class OutputPump:
    """The pipe: workers inherit ``write_fd`` as their standard error.

    Args:
        write: takes level and text of each line; by default they are logged.

    Attributes:
        read_fd, write_fd: the ends of the pipe.
    """

    def __init__(self, write: Callable[[int, str], object] | None = None) -> None:
        self.read_fd, self.write_fd = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.read_fd, False)
        self._lines = Lines(write or (lambda level, text: log.log(level, "%s", text)))

    def pump(self) -> None:
        """Pass on what has arrived; to be called when ``read_fd`` is readable."""
        try:
            data = os.read(self.read_fd, _CHUNK)
        except BlockingIOError:
            return
        self._lines.feed(data)

    def close(self) -> None:
        """Close both ends; harmless when called twice."""
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)
        self.read_fd = self.write_fd = -1
