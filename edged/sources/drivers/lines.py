"""Lines of text: of a file that grows, of a FIFO, or of a program's output.

Each line is one sample, judged by itself. A line stays in the worker: what leaves it are labels. Empty lines
are skipped, and a line that is too long is cut.

A file is followed from its end on, as ``tail -f`` does, also after it was truncated. A file that is renamed
and made anew (``logrotate`` without ``copytruncate``) is better read by a program:
``command: [tail, -F, FILE]``.
"""

from __future__ import annotations

import os
import selectors
import shutil
import stat
import subprocess
import time
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edged.drivers import wrong
from edged.errors import Reason, Unavailable
from edged.sources import InputConfig, Offer, Text
from edged.sources.replay import Written
from edged.system import clock, programs
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.models.spec import Gives
    from edged.sources import FeedSource, Hint, Viewing
    from edged.sources.replay import RecordedTime

_ENDINGS = (".txt", ".log")
MOST_CHARACTERS = 4000  # of a line
_MOST_WAITING = 200  # lines; of more, the oldest are dropped
_CHUNK = 1 << 16
_POLL_S = 0.02


class Config(InputConfig):
    """The keys of ``kind: lines``."""

    gives: ClassVar[Gives] = "text"

    kind: Literal["lines"] = Field(default="lines", description="the driver: lines")
    path: Path | None = Field(
        examples=["/var/log/door.log"], default=None, description="a file that grows, or a FIFO"
    )
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)] | None = Field(
        examples=[None],
        default=None,
        description='instead of path: a program and its arguments as a list: ["tail", "-F", "/door.log"]',
    )
    from_start: bool = Field(
        default=False, description="read what is in the file already, and end there; false: only new lines"
    )
    interval_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = Field(
        default=0.1,
        description="time between two lines, in s; more wait, and beyond 200 the oldest are dropped",
    )

    @property
    def every_s(self) -> float:
        """The interval."""
        return self.interval_s

    @model_validator(mode="after")
    def _one_origin(self) -> Config:
        if (self.path is None) == (self.command is None):
            raise wrong("write path or command", "path" if self.path is not None else "kind")
        if self.command is not None and self.from_start:
            raise wrong("from_start is for path", "from_start")
        return self


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the lines of a FIFO, or those that a file of text has by now."""
    del viewing
    path = Path(text)
    if path.is_fifo() and path.suffix.lower() in {"", *_ENDINGS}:
        return Offer({"path": str(path.absolute())}, text, text)
    if path.suffix.lower() not in _ENDINGS or not path.is_file():
        return None
    return Offer({"path": str(path.absolute()), "from_start": True}, text, text)


def needs(config: Config) -> Needs:
    """Return the file, or the program and the files that its arguments name."""
    if config.path is not None:
        return Needs(files=(str(config.path),))
    program, *arguments = config.command or ("",)
    files = tuple(word for word in arguments if word.startswith("/"))
    return Needs(files=files, programs=(shutil.which(program) or program,))


def create(config: Config, hint: Hint) -> FeedSource:
    """Return the source."""
    del hint
    return Lines(config)


def recorded(config: Config, hint: Hint, time: RecordedTime) -> FeedSource:
    """Return the lines that a file has, as if they had come an interval apart."""
    del hint
    return Written(config.path, config.interval_s, MOST_CHARACTERS, time)


class Lines:
    """Gives lines as they come.

    Attributes:
        begun: it is open: a file may have no new line for days.
        dropped: ``skipped``: lines for which there was no time.
    """

    def __init__(self, config: Config, *, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        self._descriptor = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._regular = False
        self._rest = b""
        self._waiting: deque[tuple[str, float]] = deque()
        self._due = 0.0
        self._number = 0
        self.dropped: Counter[str] = Counter()

    @property
    def begun(self) -> bool:
        """Return whether it is open."""
        return self._descriptor >= 0

    def open(self) -> None:
        """Open the file, or start the program."""
        self.close()
        self._descriptor = self._opened() if self._config.path is not None else self._started()
        self._due = self._monotonic()

    def _opened(self) -> int:
        path = str(self._config.path)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            denied = isinstance(error, PermissionError)
            what = "may not be read" if denied else (error.strerror or str(error)).lower()
            raise Unavailable(Reason.DENIED if denied else Reason.ABSENT, f"{path}: {what}") from None
        mode = os.fstat(descriptor).st_mode
        self._regular = stat.S_ISREG(mode)
        if not self._regular and not stat.S_ISFIFO(mode):
            os.close(descriptor)
            raise Unavailable(Reason.ABSENT, f"{path} is not a file or a FIFO")
        if self._regular and not self._config.from_start:
            os.lseek(descriptor, 0, os.SEEK_END)
        return descriptor

    def _started(self) -> int:
        name, *arguments = self._config.command or ("",)
        program = shutil.which(name)
        if program is None:
            raise Unavailable(Reason.ABSENT, f"there is no program {name}")
        read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(write, True)
        try:
            self._process = subprocess.Popen(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=write,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            os.close(read)
            raise Unavailable(Reason.DENIED, f"{name} cannot be started: {error.strerror}") from None
        finally:
            os.close(write)
        return read

    def read(self, timeout_s: float) -> Text | None:
        """Return the oldest line that waits; None where none has come, or it is not time yet."""
        deadline = self._monotonic() + timeout_s
        while True:
            over = self._is_over()  # before the last look: it may print a line and end in between
            ended = not self._take() and over
            if ended:
                self._take_rest()
            now = self._monotonic()
            if self._waiting and now >= self._due:
                self._due = max(self._due + self._config.interval_s, now)
                return self._give(*self._waiting.popleft())
            if ended and not self._waiting:
                raise self._end()
            if now >= deadline:
                return None
            self._wait(min(_POLL_S, deadline - now))

    def idle(self, keep: int | None) -> None:
        """Take in the lines that come; keep the newest that may still be needed."""
        self._take()
        while keep is not None and len(self._waiting) > keep:
            self._waiting.popleft()

    def close(self) -> None:
        """Close the file, and end the program."""
        if self._process is not None:
            programs.end(self._process)
            self._process = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        self._rest = b""
        self._waiting.clear()

    def _take(self) -> bool:
        """Read what has come; return whether that was anything."""
        if self._descriptor < 0:
            raise Unavailable(Reason.LOST, "the source of lines is not open")
        if self._regular and os.lseek(self._descriptor, 0, os.SEEK_CUR) > os.fstat(self._descriptor).st_size:
            os.lseek(self._descriptor, 0, os.SEEK_SET)  # it was truncated, and begins again
            self._rest = b""
        try:
            data = os.read(self._descriptor, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Unavailable(Reason.LOST, f"{self._name}: {(error.strerror or '').lower()}") from None
        *lines, rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._add(line)
        self._rest = rest[: 4 * MOST_CHARACTERS]
        return bool(data)

    def _add(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").strip()[:MOST_CHARACTERS]
        if text:
            self._waiting.append((text, clock.wall()))
        while len(self._waiting) > _MOST_WAITING:
            self._waiting.popleft()
            self.dropped["skipped"] += 1

    def _is_over(self) -> bool:
        """Return whether nothing more comes than what is there now."""
        return self._process.poll() is not None if self._process is not None else self._config.from_start

    def _take_rest(self) -> None:
        """Take the last line, which may lack its end."""
        self._add(self._rest)
        self._rest = b""

    def _end(self) -> Unavailable:
        status = self._process.returncode if self._process is not None else 0
        if status:
            return Unavailable(Reason.LOST, f"{self._name} ended with status {status}")
        return Unavailable(Reason.ENDED, f"{self._name}: that was the last line")

    def _wait(self, seconds: float) -> None:
        if self._regular:
            time.sleep(seconds)  # a regular file is always readable
            return
        with selectors.DefaultSelector() as selector:
            selector.register(self._descriptor, selectors.EVENT_READ)
            if not selector.select(seconds):
                return
        if self._process is None:
            time.sleep(_POLL_S / 4)  # a FIFO without a writer is readable, too

    def _give(self, text: str, captured_at: float) -> Text:
        import numpy as np

        self._number += 1
        return Text(np.array([text]), captured_at, self._number - 1)

    @property
    def _name(self) -> str:
        return (
            str(self._config.path)
            if self._config.path is not None
            else str((self._config.command or ("",))[0])
        )
