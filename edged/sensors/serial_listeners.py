"""Parses the data of a serial port for a sensor: the newest values of lines, or of frames."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from edged.sensors import Quality, Reading, printed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edged.sensors import Quantity
    from edged.sensors.serial_frames import Frame

_MAX_LINE = 512  # bytes
_MAX_LINES = 64  # of one piece of data that are parsed
_QUIET_S = 0.1  # silence before the first byte: it begins a line
_LITERAL = re.compile(r"(?:[\w=:#@/,;<>!&%\"'~ -]|\\[^\w\s])(?![?*{])")  # that a pattern begins with


class Lines:
    """Fills channels from lines that match patterns; each line fills those that it has.

    Args:
        patterns: regular expressions whose groups are the channels.
        quantities: the channels.
        opened_at: when it began to listen, monotonic time in s.
    """

    def __init__(self, patterns: Iterable[str], quantities: Mapping[str, Quantity], opened_at: float) -> None:
        self._patterns = [re.compile(pattern) for pattern in patterns]
        self._begin_with_text = [pattern for pattern in self._patterns if _begins_with_text(pattern.pattern)]
        self._quantities = quantities
        self._opened_at = opened_at
        self._rest: bytes | None = None  # the beginning of an incomplete line; None before the first byte
        self._begun = False  # whether the beginning of the next line was received
        self._fresh: dict[str, Reading] = {}
        self._matched = False
        self.fault = ""  # why there is no reading, where lines came and none ever matched

    @property
    def ready(self) -> bool:
        """Return whether there is a reading that was not taken yet."""
        return bool(self._fresh)

    def take(self) -> list[Reading]:
        """Return the newest reading of each channel that has a new one."""
        fresh, self._fresh, self.fault = self._fresh, {}, ""
        return [fresh[name] for name in self._quantities if name in fresh]

    def feed(self, data: bytes, now: float, ts: float) -> None:
        """Take the next bytes.

        Of a line that was under way when the port was opened only its end is here. It counts for patterns
        that begin with a text, such as ``T=``: what follows that text is whole.
        """
        if self._rest is None:
            self._rest, self._begun = b"", now - self._opened_at >= _QUIET_S
        *lines, rest = re.split(rb"[\r\n]+", self._rest + data)
        self._rest = rest[-_MAX_LINE:]
        if lines and not self._begun:
            end, *lines = lines
            self._line(end, self._begin_with_text, ts)
            self._begun, self.fault = True, ""
        for line in lines[-_MAX_LINES:]:
            self._line(line, self._patterns, ts)

    def _line(self, line: bytes, patterns: Iterable[re.Pattern[str]], ts: float) -> None:
        text = line[-_MAX_LINE:].decode("utf-8", "replace").strip()
        found: dict[str, str] = {}
        for pattern in patterns:
            for match in pattern.finditer(text):
                for name, value in match.groupdict().items():
                    if value is not None:
                        found.setdefault(name, value)
        for name, value in found.items():
            self._fresh[name] = _reading(name, value, self._quantities[name].unit, ts)
        self._matched = self._matched or bool(found)
        if text and not self._matched:
            self.fault = f"no line matches the pattern; the last one is {printed.quoted(text)}"


class Frames:
    """Fills channels from frames.

    Args:
        frame: their form.
        asked: they count only between :meth:`begin` and the first one.
    """

    def __init__(self, frame: Frame, *, asked: bool) -> None:
        self._frame = frame
        self._quantities = frame.quantities()
        self._asked, self._waits = asked, not asked
        self._rest = b""
        self._fresh: list[Reading] = []
        self.fault = ""  # why there is no reading, where data came

    @property
    def ready(self) -> bool:
        """Return whether there is a reading that was not taken yet."""
        return bool(self._fresh)

    def begin(self) -> None:
        """Forget what came; the next frame is the answer to a request that is sent now."""
        self._rest, self._fresh, self.fault, self._waits = b"", [], "", True

    def take(self) -> list[Reading]:
        """Return the readings of the newest frame, if it was not taken yet."""
        fresh, self._fresh, self.fault = self._fresh, [], ""
        self._waits = not self._asked
        return fresh

    def feed(self, data: bytes, now: float, ts: float) -> None:
        """Take the next bytes."""
        del now
        if not self._waits:
            return
        self._rest += data
        while True:
            frame, self._rest, damaged = self._frame.find(self._rest)
            self.fault = "the checksum is wrong" if damaged else self.fault
            if frame is None:
                break
            units = self._quantities
            values = self._frame.values(frame)
            self._fresh = [Reading(name, value, units[name].unit, ts) for name, value in values.items()]
            self._waits = not self._asked


def _begins_with_text(pattern: str) -> bool:
    """Return whether every alternative of a pattern begins with a character that has to be there."""
    alternatives, depth, start = [], 0, 0
    for at, character in enumerate(pattern):
        escaped = (len(pattern[:at]) - len(pattern[:at].rstrip("\\"))) % 2 == 1
        if not escaped:
            depth += {"(": 1, ")": -1}.get(character, 0)
            if character == "|" and depth == 0:
                alternatives.append(pattern[start:at])
                start = at + 1
    return all(_LITERAL.match(alternative) for alternative in (*alternatives, pattern[start:]))


def _reading(name: str, text: str, unit: str, ts: float) -> Reading:
    try:
        return Reading(name, float(text), unit, ts)
    except ValueError:
        value = printed.number(text)
    if value is not None:
        return Reading(name, value, unit, ts)
    return Reading(name, None, unit, ts, Quality.BAD, f"{printed.quoted(text)} is not a number")
