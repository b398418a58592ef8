"""Logging to standard error, in the form that its reader needs: the journal, a terminal, or a program.

One line per change of state. A warning that repeats is written once, then counted; the count follows at
growing intervals. A traceback is written once.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from edged.system import clock
from edged.system.addresses import redact
from edged.text import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable

GAPS_S = (10.0, 60.0, 600.0, 3600.0)  # between two lines about the same thing
MOST_KEPT = 256  # messages that are remembered, to recognise repeats
_QUIET = {"OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


def setup(form: str = "text", stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Log to standard error.

    Args:
        form: ``text`` for people and the journal, ``json`` for one object per line, ``journal`` for a reader
            that takes the journal's form from a pipe.
        stream: standard error by default.
        level: the lowest level that is written.
    """
    stream = stream or sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - it stays open to the end
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(form, stream))
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False  # a closed standard error must not end the daemon


def to_a_person(note: Callable[[str], object]) -> None:
    """Hand errors to a function, where a person watches one pipeline and no log is kept.

    Warnings of the supervisor also arrive as faults. OpenCV and FFmpeg are silenced, also in processes that
    start later: their messages are for developers, and a fault reports the problem in a sentence.
    """
    root = logging.getLogger()
    root.handlers = [Notes(note)]
    root.setLevel(logging.ERROR)
    os.environ.update(_QUIET | os.environ)


class Notes(logging.Handler):
    """Hands each message to a function.

    Args:
        note: takes the message.
        level: the least that is handed on.
    """

    def __init__(self, note: Callable[[str], object], level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._note = note

    def emit(self, record: logging.LogRecord) -> None:
        """Hand the message on."""
        self._note(record.getMessage())


def _formatter(form: str, stream: TextIO) -> logging.Formatter:
    if form == "json":
        return Json()
    if form == "journal" or is_journal(stream):
        return Journal()
    return Terminal() if stream.isatty() else File()


def is_journal(stream: TextIO) -> bool:
    """Return whether systemd connected the stream to the journal ($JOURNAL_STREAM)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Plain(logging.Formatter):
    """Keeps a message on one line, whatever text is in it; only a traceback has more lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message with its prefix."""
        record.message = _on_one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the lines of a traceback."""
        return printable_lines(super().formatException(ei))


class Journal(Plain):
    """Formats each line with its priority in front, ``<4>``, which the journal removes (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        mark = f"<{_PRIORITIES.get(record.levelno, 5)}>"
        return "\n".join(mark + line for line in redact(super().format(record)).splitlines() or [""])


class Terminal(Plain):
    """Formats a message as ``12:00:00  warning  the sentence``."""

    default_time_format = "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        time = self.formatTime(record, self.default_time_format)
        return f"{time}  {record.levelname.lower():<8}{redact(super().format(record))}"


class File(Terminal):
    """Formats a message as ``2026-01-31 12:00:00  warning  the sentence``, for a file or a pipe."""

    default_time_format = "%Y-%m-%d %H:%M:%S"


class Json(Plain):
    """Formats a message as one JSON object: ts, level, logger, message, and traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        data = {
            "ts": clock.rfc3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(_on_one_line(record.getMessage())),
        }
        if record.exc_info:
            data["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(data, ensure_ascii=False)


def _again(count: int, within_s: float) -> str:
    """Return how often a message came again: ``once more in 8 min``, ``60 more times in 60 s``."""
    times = "once more" if count == 1 else f"{count} more times"
    return f"{times} in {within_s:.0f} s" if within_s < 120 else f"{times} in {within_s / 60:.0f} min"


def _on_one_line(message: str) -> str:
    return printable(" ".join(message.split("\n")))


@dataclass
class _Seen:
    told_at: float
    gap: int = 0  # index into GAPS_S: the length of the silence after told_at
    count: int = 0  # repeats since then


class Repeats(logging.Filter):
    """Passes a warning the first time, then at most once per interval, with the number of repeats."""

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        super().__init__()
        self._now = now
        self._seen: OrderedDict[tuple[str, int, str], _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to write a record; one that passes again carries the number of repeats."""
        if record.levelno < logging.WARNING:
            return True
        key, now = (record.name, record.levelno, record.getMessage()), self._now()
        seen = self._seen.get(key)
        if seen is None or now - seen.told_at > 2 * GAPS_S[-1]:
            self._remember(key, now)
            return True
        self._seen.move_to_end(key)
        seen.count += 1
        silent_s = now - seen.told_at
        if silent_s < GAPS_S[seen.gap]:
            return False
        record.msg = f"{key[2]} ({_again(seen.count, silent_s)})"
        record.args, record.exc_info, record.exc_text = (), None, None
        self._seen[key] = _Seen(now, min(seen.gap + 1, len(GAPS_S) - 1))
        return True

    def _remember(self, key: tuple[str, int, str], now: float) -> None:
        self._seen[key] = _Seen(now)
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_KEPT:
            self._seen.popitem(last=False)
