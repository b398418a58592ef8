"""A device on a serial port that sends lines or frames; PMS5003 and MH-Z19 are built in. Needs pyserial.

Lines are parsed by a pattern whose groups are the channels, frames by their fields::

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
"""

from __future__ import annotations

import re
import termios
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged import drivers
from edged.drivers import Section, wrong
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import (
    ChannelName,
    Quality,
    Quantity,
    Reading,
    Sensor,
    SensorConfig,
    pattern_bounds,
    permission,
    serial_frames,
)
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_LINE = 512  # bytes
_POLL_S = 0.25  # timeout of one read
_FULL = 2048  # bytes; the kernel's buffer holds 4096


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


class Config(SensorConfig):
    """The keys of ``kind: serial``."""

    kind: Literal["serial"] = Field(default="serial", description="the driver: serial")
    device: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="the port, such as /dev/serial0 or one in /dev/serial/by-id/"
    )
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(default=9600, description="bits per second")
    protocol: Literal["pms5003", "mhz19"] | None = Field(
        examples=["pms5003"], default=None, description="a built-in device: pms5003 or mhz19"
    )
    pattern: Annotated[str, StringConstraints(max_length=400), AfterValidator(_pattern)] | None = Field(
        examples=["T=(?P<temperature>[-0-9.]+)"],
        default=None,
        description="a regular expression searched for in each line; its named groups are the channels",
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
        groups = re.compile(self.pattern or "").groupindex
        values = {name: self.values.get(name, Value()) for name in groups}
        return {name: Quantity(v.unit, v.device_class) for name, v in values.items()}

    @property
    def holds(self) -> tuple[str, ...]:
        """The port."""
        return (self.device,)

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
    def needs(self) -> Needs:
        """The port."""
        return Needs(devices=(self.device,))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Serial(config)


def library() -> Any:
    """Return pyserial. Raises ``DriverError`` where it is missing."""
    try:
        import serial
    except ImportError as error:
        raise DriverError(f"pyserial is missing: {drivers.install_command('serial')}") from error
    return serial


class Serial:
    """Returns the newest data received since the last reading, or waits for more."""

    def __init__(self, config: Config, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        self._frame = config.layout
        self._pattern = re.compile(config.pattern) if config.pattern else None
        self._port: Any = None
        self._rest = b""  # the beginning of an incomplete line or frame
        self._synchronized = False  # whether the beginning of the next line was received
        self._fault = ""  # the problem with the data received since the last reading

    def open(self) -> None:
        """Open the port exclusively."""
        serial = library()
        self.close()
        config = self._config
        try:
            self._port = serial.Serial(
                config.device, config.baud, timeout=_POLL_S, write_timeout=1, exclusive=True
            )
        except (OSError, ValueError, termios.error) as error:
            raise _explained(config.device, error) from error
        self._rest, self._synchronized = b"", False

    def read(self) -> Sequence[Reading]:
        """Return the newest values; wait for them if there are none."""
        if self._port is None:
            raise Unavailable(Reason.LOST, f"{self._config.device} is not open")
        try:
            return self._newest()
        except (OSError, termios.error) as error:
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(Reason.LOST, f"{self._config.device}: {error}") from error

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _newest(self) -> Sequence[Reading]:
        until = self._monotonic() + self._config.timeout_s
        self._fault = ""
        if self._frame is not None and self._frame.request:
            self._port.reset_input_buffer()
            self._rest = b""
            self._port.write(self._frame.request_bytes)
        elif self._port.in_waiting >= _FULL:
            # A full kernel buffer keeps the oldest data, so its content is not the newest.
            self._port.reset_input_buffer()
            self._rest, self._synchronized = b"", False
        parse = self._frames if self._frame is not None else self._lines
        while True:
            data = self._port.read(self._port.in_waiting or 1)
            if data and (readings := parse(data)):
                return readings
            if self._monotonic() >= until:
                break
        if self._fault:
            return self._bad(self._fault)
        message = f"{self._config.device} sent nothing for {self._config.timeout_s:g} s"
        raise Unavailable(Reason.TIMEOUT, message)

    def _frames(self, data: bytes) -> list[Reading]:
        frame = self._frame
        if frame is None:
            return []
        newest, self._rest = None, self._rest + data
        while True:
            found, self._rest, damaged = frame.find(self._rest)
            self._fault = "the checksum is wrong" if damaged else self._fault
            if found is None:
                break
            newest = found
        if newest is None:
            return []
        ts, quantities = clock.wall(), frame.quantities()
        return [Reading(n, value, quantities[n].unit, ts) for n, value in frame.values(newest).items()]

    def _lines(self, data: bytes) -> list[Reading]:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_MAX_LINE:]
        newest: list[Reading] = []
        for line in lines:
            if self._synchronized:  # the first line after open may be incomplete
                newest = self._parse(line) or newest
                self._fault = "no line matches the pattern"
            self._synchronized = True
        return newest

    def _parse(self, line: bytes) -> list[Reading]:
        text = line[-_MAX_LINE:].decode("utf-8", "replace").strip()
        match = self._pattern.search(text) if self._pattern else None
        if match is None:
            return []
        ts, quantities = clock.wall(), self._config.gives()
        return [_reading(name, match.group(name), q.unit, ts) for name, q in quantities.items()]

    def _bad(self, reason: str) -> list[Reading]:
        ts = clock.wall()
        return [Reading(n, None, q.unit, ts, Quality.BAD, reason) for n, q in self._config.gives().items()]


def _reading(name: str, text: str | None, unit: str, ts: float) -> Reading:
    try:
        return Reading(name, float(text or ""), unit, ts)
    except ValueError:
        return Reading(name, None, unit, ts, Quality.BAD, f"'{(text or '')[:40]}' is not a number")


def _explained(device: str, error: Exception) -> Unavailable:
    text = str(error)
    code = getattr(error, "errno", None)
    if permission.is_denied(error):
        return permission.denied(code, device, "dialout")
    if code == 11 or "lock" in text:
        return DeviceBusy(f"{device} is in use by another program")
    if code == 2 or "No such file" in text:
        return Unavailable(Reason.ABSENT, f"there is no {device}; `ls /dev/serial/by-id` lists the ports")
    return Unavailable(Reason.LOST, f"{device}: {text}")
