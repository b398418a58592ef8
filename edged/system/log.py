"""Logging to standard error, in the form that its reader wants: the journal, a terminal, or a program.

One line for a change of state. The same warning again and again is written once, then counted, and the count
comes at growing intervals; its traceback comes once.
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
from edged.system.redaction import redact
from edged.text import printable, printable_lines

if TYPE_CHECKING:
    from collections.abc import Callable

GAPS_S = (10.0, 60.0, 600.0, 3600.0)  # between two lines about the same thing
MOST_KEPT = 256  # messages that are remembered to know them again
_PRIORITIES = {logging.CRITICAL: 2, logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6, logging.DEBUG: 7}


def setup(form: str = "text", stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Send everything that is logged to standard error.

    Args:
        form: ``text`` for people and the journal, ``json`` for one object a line.
        stream: default standard error.
        level: the least that is written.
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


def _formatter(form: str, stream: TextIO) -> logging.Formatter:
    if form == "json":
        return Json()
    return Journal() if is_journal(stream) or not stream.isatty() else Terminal("%(message)s")


def is_journal(stream: TextIO) -> bool:
    """Whether the stream is the one that systemd connected to the journal ($JOURNAL_STREAM)."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


class Plain(logging.Formatter):
    """A message is one line, whoever wrote the words in it; only a traceback has more."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the message with its prefix."""
        record.message = _on_one_line(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the lines of a traceback."""
        return printable_lines(super().formatException(ei))


class Journal(Plain):
    """Each line with its priority in front, ``<4>``, which the journal takes off (sd-daemon(3))."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        mark = f"<{_PRIORITIES.get(record.levelno, 5)}>"
        return "\n".join(mark + line for line in redact(super().format(record)).splitlines() or [""])


class Terminal(Plain):
    """``12:00:00  warning  the sentence``."""

    default_time_format = "%H:%M:%S"

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of a record."""
        time = self.formatTime(record, self.default_time_format)
        return f"{time}  {record.levelname.lower():<8}{redact(super().format(record))}"


class Json(Plain):
    """One object a line: ts, level, logger, message, and where there is one, the traceback."""

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


def _on_one_line(message: str) -> str:
    return printable(" ".join(message.split("\n")))


@dataclass
class _Seen:
    told_at: float
    gap: int = 0  # index into GAPS_S: how long to be silent after told_at
    count: int = 0  # not told since


class Repeats(logging.Filter):
    """Lets a warning pass the first time, then at most once an interval, with the count of those left out."""

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        super().__init__()
        self._now = now
        self._seen: OrderedDict[tuple[str, int, str], _Seen] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it; one that passes again says how often it was left out."""
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
        record.msg = f"{key[2]} ({seen.count} times in {silent_s:.0f} s)"
        record.args, record.exc_info, record.exc_text = (), None, None
        self._seen[key] = _Seen(now, min(seen.gap + 1, len(GAPS_S) - 1))
        return True

    def _remember(self, key: tuple[str, int, str], now: float) -> None:
        self._seen[key] = _Seen(now)
        self._seen.move_to_end(key)
        if len(self._seen) > MOST_KEPT:
            self._seen.popitem(last=False)
