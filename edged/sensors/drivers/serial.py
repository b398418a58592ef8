"""A device on a serial port that sends lines or frames; PMS5003, SDS011, MH-Z19 are built in. Needs pyserial.

Lines are parsed by patterns whose groups are the channels, frames by their fields. Several sensors may share
a port, each with its own pattern or request; a line fills the channels that it has::

    scale:
      kind: serial
      device: /dev/serial/by-id/usb-1a86_USB_Serial-if00-port0
      pattern: 'W:(?P<weight>[-0-9.]+)'
      values: {weight: {unit: kg, device_class: weight}}
    wind:
      kind: serial
      device: /dev/ttyS0
      frame:
        start: aa 55
        length: 8
        checksum: sum8
        fields: {speed: {at: 2, bytes: 2, scale: 0.1, unit: m/s}}

A device that is silent keeps its port: its readings become stale, then bad.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged.drivers import PathOrUrl, Section, wrong
from edged.errors import Reason, Unavailable
from edged.sensors import (
    ChannelName,
    Quality,
    Quantity,
    Reading,
    Sensor,
    SensorConfig,
    overlays,
    pattern_bounds,
    serial_frames,
    serial_listeners,
    serial_ports,
    turns,
)
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Value(Section):
    """The quantity of a group of the pattern."""

    unit: Annotated[str, StringConstraints(max_length=16)] = Field(default="", description="°C, %, hPa, lx …")
    device_class: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="", description="Home Assistant's device class, such as temperature"
    )


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from None
    if pattern_bounds.may_run_away(text):
        raise ValueError(
            "may take for ever to match: a group that is repeated may hold no repetition and no '|'; "
            "write [0-9]+ for ([0-9]+)+, and [ab]+ for (a|b)+"
        )
    if not groups:
        raise ValueError("must have a named group for each value, such as (?P<weight>[-0-9.]+)")
    for name in groups:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
            raise ValueError(f"the name of the group '{name}' may only have a-z, 0-9 and _")
    return text


Pattern = Annotated[str, StringConstraints(max_length=400), AfterValidator(_pattern)]


class Config(SensorConfig):
    """The keys of ``kind: serial``."""

    kind: Literal["serial"] = Field(default="serial", description="the driver: serial")
    device: Annotated[PathOrUrl, StringConstraints(min_length=1, max_length=4096)] = Field(
        description="the port, such as /dev/serial0 or one in /dev/serial/by-id/"
    )
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(default=9600, description="bits per second")
    framing: Literal["8n1", "7e1", "8e1", "8o1", "7o1", "8n2", "7n2"] = Field(
        default="8n1", description="bits, parity (n, e, o) and stop bits"
    )
    dtr: bool | None = Field(
        examples=[False],
        default=None,
        description="whether the line DTR is asserted; default: as the kernel opens the port, asserted. It "
        "stays so when the port is closed: opening it again does not reset an Arduino",
    )
    rts: bool | None = Field(
        examples=[False], default=None, description="whether the line RTS is asserted; default: as DTR"
    )
    protocol: Literal["pms5003", "sds011", "mhz19"] | None = Field(
        examples=["pms5003"], default=None, description="a built-in device: pms5003, sds011 or mhz19"
    )
    pattern: Pattern | Annotated[tuple[Pattern, ...], Field(min_length=1, max_length=16)] | None = Field(
        examples=["T=(?P<temperature>[-0-9.]+)"],
        default=None,
        description="a regular expression searched for in each line, or a list of them; its named groups are "
        "the channels",
    )
    values: dict[ChannelName, Value] = Field(
        examples=[{}], default_factory=dict, description="units of the pattern's groups, by name"
    )
    frame: serial_frames.Frame | None = Field(
        examples=[{"start": "aa 55", "length": 8, "fields": {"speed": {"at": 2}}}],
        default=None,
        description="frames of bytes: start, length, checksum, fields",
    )
    timeout_s: Annotated[float, Field(ge=0.05, le=600, allow_inf_nan=False)] = Field(
        default=3.0, description="time to wait for data from the device, in s; below deadline_s"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return the quantities of the frame's fields or the pattern's groups."""
        frame = self.layout
        if frame is not None:
            return frame.quantities()
        groups = [name for pattern in self.patterns for name in re.compile(pattern).groupindex]
        values = {name: self.values.get(name, Value()) for name in groups}
        return {name: Quantity(v.unit, v.device_class) for name, v in values.items()}

    @property
    def patterns(self) -> tuple[str, ...]:
        """The regular expressions; none where frames are read."""
        return (self.pattern,) if isinstance(self.pattern, str) else self.pattern or ()

    @property
    def shares(self) -> Mapping[str, str]:
        """The port, which sensors may share that open it in the same way."""
        return {self.device: f"baud {self.baud}, framing {self.framing}"}

    @property
    def layout(self) -> serial_frames.Frame | None:
        """The frame: the protocol's, or the configured one."""
        return serial_frames.KNOWN[self.protocol] if self.protocol else self.frame

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if sum(key is not None for key in (self.protocol, self.pattern, self.frame)) != 1:
            raise wrong("write exactly one of protocol, pattern and frame", "kind")
        for name in self.values:
            if name not in self.gives():
                raise wrong(f"the pattern has no group '{name}'", "values", name, "[key]")
        if self.timeout_s >= self.deadline_s:
            message = f"timeout_s ({self.timeout_s:g}) must be below deadline_s ({self.deadline_s:g})"
            raise wrong(message, "timeout_s")
        return self

    @property
    def remedy(self) -> str:
        """The line that switches the port on, or where to look."""
        return overlays.port(self.device)

    @property
    def needs(self) -> Needs:
        """The port."""
        return Needs(devices=(self.device,))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Serial(config)


library = serial_ports.library


class Serial:
    """Returns the newest data received since the last reading, or waits for more."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._frame = config.layout
        self._settings = serial_ports.Settings(
            config.device, config.baud, config.framing, config.dtr, config.rts
        )
        self._port: serial_ports.Port | None = None
        self._listener: serial_listeners.Lines | serial_listeners.Frames | None = None

    def open(self) -> None:
        """Open the port, or listen to it where another sensor has it open."""
        self.close()
        if self._frame is not None:
            self._listener = serial_listeners.Frames(self._frame, asked=bool(self._frame.request))
        else:
            quantities = self._config.gives()
            self._listener = serial_listeners.Lines(self._config.patterns, quantities, time.monotonic())
        self._port = serial_ports.attach(self._settings, self._listener)

    def read(self) -> Sequence[Reading]:
        """Return the newest readings; wait for them where there are none. Silence gives none."""
        port, listener = self._port, self._listener
        if port is None or listener is None:
            raise Unavailable(Reason.LOST, f"{self._config.device} is not open")
        if isinstance(listener, serial_listeners.Frames) and self._frame is not None and self._frame.request:
            return self._asked(port, listener, self._frame.request_bytes)
        with port.news:
            port.wait(lambda: listener.ready, self._config.timeout_s)
            fault = listener.fault
            if readings := listener.take():
                return readings
            # Lines that do not match are not a fault where they are another sensor's.
            return self._bad(fault) if fault and len(port.listeners) == 1 else []

    def close(self) -> None:
        """Close the port after its last sensor."""
        port, listener = self._port, self._listener
        self._port = self._listener = None
        if port is not None and listener is not None:
            serial_ports.detach(port, listener)

    def _asked(
        self, port: serial_ports.Port, listener: serial_listeners.Frames, request: bytes
    ) -> Sequence[Reading]:
        """Send the request and return its answer."""
        timeout_s = self._config.timeout_s
        turn_s = max(0.1, 0.8 * (self._config.deadline_s - timeout_s) - serial_ports.LATE_S)
        try:
            port.exchange(request, listener.begin, lambda: listener.ready, timeout_s, turn_s)
        except turns.Waited as waited:
            return self._bad(str(waited))
        with port.news:
            fault = (
                listener.fault or f"{self._config.device}: no answer to the request within {timeout_s:g} s"
            )
            return listener.take() or self._bad(fault)

    def _bad(self, reason: str) -> list[Reading]:
        ts = clock.wall()
        return [Reading(n, None, q.unit, ts, Quality.BAD, reason) for n, q in self._config.gives().items()]
