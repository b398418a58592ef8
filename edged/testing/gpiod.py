"""A double of gpiod 2: chips with lines, requests that hold lines, and edges with sequence numbers.

Like the real one: requesting a held line is EBUSY, an unknown name ENOENT, an offset beyond the chip a
ValueError, and edges of a line without an interrupt ENXIO; a released request raises; when the kernel's
buffer is full it drops the oldest edges, whose numbers are then missing; active-low inverts values and edges.
A debounced line changes, in its value as in its edges, only after the wire was stable for the period: a
shorter change leaves no trace. A test compares its signatures with the real module's.
"""

from __future__ import annotations

import enum
import errno
import os
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Value(enum.Enum):
    """Logical states, as ``gpiod.line.Value``."""

    INACTIVE = 0
    ACTIVE = 1


Direction = enum.Enum("Direction", ["AS_IS", "INPUT", "OUTPUT"])
Edge = enum.Enum("Edge", ["NONE", "RISING", "FALLING", "BOTH"])
Bias = enum.Enum("Bias", ["AS_IS", "UNKNOWN", "DISABLED", "PULL_UP", "PULL_DOWN"])
Drive = enum.Enum("Drive", ["PUSH_PULL", "OPEN_DRAIN", "OPEN_SOURCE"])
Clock = enum.Enum("Clock", ["MONOTONIC", "REALTIME", "HTE"])


@dataclass
class LineSettings:
    """As ``gpiod.LineSettings``."""

    direction: Direction = Direction.AS_IS
    edge_detection: Edge = Edge.NONE
    bias: Bias = Bias.AS_IS
    drive: Drive = Drive.PUSH_PULL
    active_low: bool = False
    debounce_period: timedelta = timedelta()
    event_clock: Clock = Clock.MONOTONIC
    output_value: Value = Value.INACTIVE


@dataclass(frozen=True)
class EdgeEvent:
    """As ``gpiod.EdgeEvent``."""

    class Type(enum.Enum):
        """Kinds of edge."""

        RISING_EDGE = 1
        FALLING_EDGE = 2

    event_type: Type
    timestamp_ns: int
    line_offset: int
    global_seqno: int
    line_seqno: int


class RequestReleasedError(Exception):
    """As ``gpiod.RequestReleasedError``."""


@dataclass
class Header:
    """One GPIO chip and the wires connected to it.

    Attributes:
        path: its device file, which exists.
        label: the chip's label.
        names: the names of its lines.
        levels: the levels of the wires, by offset.
        unplugged: the chip went away.
        denied: the errno for a user who may not open it, EACCES or EPERM; 0 for one who may.
        no_interrupts: the errno for edges where its lines have no interrupts; 0 where they do.
        holders: the requests that hold lines, by offset.
    """

    path: str
    label: str = "pinctrl-double"
    names: list[str] = field(default_factory=lambda: [f"GPIO{n}" for n in range(28)])
    levels: dict[int, bool] = field(default_factory=dict)
    unplugged: bool = False
    denied: int = 0
    no_interrupts: int = 0
    holders: dict[int, LineRequest] = field(default_factory=dict)

    def set(self, offset: int, level: bool) -> None:
        """Set the level of a wire."""
        before = self.levels.get(offset, False)
        self.levels[offset] = level
        if offset in self.holders and level != before:
            self.holders[offset].edge(level)

    def offset(self, line: int | str) -> int:
        """Return the number of a line, as the chip does."""
        if isinstance(line, str):
            if line not in self.names:
                raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
            return self.names.index(line)
        if not 0 <= line < len(self.names):
            raise ValueError("line offset of out range")
        return line

    def check(self) -> None:
        """Raise the kernel's error for a chip that went away or may not be opened."""
        if self.unplugged:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        if self.denied:
            raise PermissionError(self.denied, os.strerror(self.denied), self.path)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Replace the module ``gpiod``."""
        before = sys.modules.get("gpiod")
        sys.modules["gpiod"] = _module(self)
        try:
            yield
        finally:
            sys.modules.pop("gpiod")
            if before is not None:
                sys.modules["gpiod"] = before


class Chip:
    """As ``gpiod.Chip``."""

    header: Header  # set by ``_module``

    def __init__(self, path: str) -> None:
        if path != self.header.path:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        self.header.check()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Do nothing: no resource is held."""

    def get_info(self) -> Any:
        """Return name, label and number of lines."""
        name = os.path.basename(self.header.path)  # noqa: PTH119 - the real one splits the text too
        return SimpleNamespace(name=name, label=self.header.label, num_lines=len(self.header.names))

    def line_offset_from_id(self, id: str | int) -> int:  # noqa: A002 - the real one's name
        """Return the number of a line."""
        return self.header.offset(id)


class LineRequest:
    """As ``gpiod.LineRequest``, for one line."""

    def __init__(self, header: Header, offset: int, settings: LineSettings, buffer: int) -> None:
        self._header = header
        self._offset = offset
        self._settings = settings
        self._buffer = buffer
        self._events: list[EdgeEvent] = []
        self._sequence = 0
        self._released = False
        self._level = self.wire()
        self._pending: tuple[int, bool] | None = None  # when a change will have been stable, and its level
        self._changed = threading.Condition()
        header.holders[offset] = self

    def wire(self) -> bool:
        """Return the level of the wire; of one that nothing drives, that of the resistor."""
        return self._header.levels.get(self._offset, self._settings.bias is Bias.PULL_UP)

    def edge(self, level: bool) -> None:
        """Notice a change of the wire, as the kernel's interrupt handler does."""
        now = time.monotonic_ns()
        period_ns = int(self._settings.debounce_period.total_seconds() * 1e9)
        with self._changed:
            self._settle(now)
            self._pending = (now + period_ns, level) if level != self._level else None
            self._settle(now)
            self._changed.notify_all()

    def _settle(self, now: int) -> None:
        """Record a change that has been stable for the period, with the time at the period's end."""
        if self._pending is None or self._pending[0] > now:
            return
        at, self._level = self._pending
        self._pending = None
        active = self._level != self._settings.active_low
        if self._settings.edge_detection not in (Edge.BOTH, Edge.RISING if active else Edge.FALLING):
            return
        self._sequence += 1
        type_ = EdgeEvent.Type.RISING_EDGE if active else EdgeEvent.Type.FALLING_EDGE
        self._events.append(EdgeEvent(type_, at, self._offset, self._sequence, self._sequence))
        del self._events[: -self._buffer]

    def get_value(self, line: int | str) -> Value:
        """Return the line's logical value."""
        self._check()
        if self._header.offset(line) != self._offset:
            raise ValueError(f"unknown line: {line}")
        with self._changed:
            self._settle(time.monotonic_ns())
            return Value.ACTIVE if self._level != self._settings.active_low else Value.INACTIVE

    def wait_edge_events(self, timeout: timedelta | float | None = None) -> bool:
        """Wait for an edge."""
        self._check()
        seconds = timeout.total_seconds() if isinstance(timeout, timedelta) else timeout
        until = None if seconds is None else time.monotonic_ns() + int(seconds * 1e9)
        with self._changed:
            while True:
                now = time.monotonic_ns()
                self._settle(now)
                if self._events or (until is not None and now >= until):
                    return bool(self._events)
                soonest = [at for at in (until, self._pending and self._pending[0]) if at is not None]
                self._changed.wait(max(0, min(soonest) - now) / 1e9 if soonest else None)

    def read_edge_events(self, max_events: int | None = None) -> list[EdgeEvent]:
        """Return the pending edges; wait for one if there are none."""
        self._check()
        self.wait_edge_events(None)
        with self._changed:
            count = self._buffer if max_events is None else max_events
            events, self._events = self._events[:count], self._events[count:]
        return events

    def release(self) -> None:
        """Release the line."""
        if not self._released:
            self._released = True
            del self._header.holders[self._offset]

    def _check(self) -> None:
        if self._released:
            raise RequestReleasedError
        self._header.check()


def _module(header: Header) -> Any:
    def request_lines(
        path: str,
        config: dict[Iterable[int | str] | int | str, LineSettings | None],
        consumer: str | None = None,
        event_buffer_size: int | None = None,
        output_values: dict[int | str, Value] | None = None,
    ) -> LineRequest:
        del output_values
        if not consumer:
            raise AssertionError("name the consumer of the line")
        with chip(path):
            ((line, settings),) = config.items()
            if not isinstance(line, int | str):
                raise TypeError("this double supports one line per request")
            offset = header.offset(line)
            if offset in header.holders:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            settings = settings or LineSettings()
            if settings.edge_detection is not Edge.NONE and header.no_interrupts:
                raise OSError(header.no_interrupts, os.strerror(header.no_interrupts))
            return LineRequest(header, offset, settings, event_buffer_size or 16)

    chip = type("Chip", (Chip,), {"header": header})
    return SimpleNamespace(
        Chip=chip,
        LineSettings=LineSettings,
        LineRequest=LineRequest,
        EdgeEvent=EdgeEvent,
        RequestReleasedError=RequestReleasedError,
        request_lines=request_lines,
        is_gpiochip_device=lambda path: path == header.path,
        line=SimpleNamespace(
            Value=Value, Direction=Direction, Edge=Edge, Bias=Bias, Drive=Drive, Clock=Clock
        ),
    )
