"""A device at a serial port that sends lines or frames; PMS5003 and MH-Z19 are built in. Needs pyserial.

Lines by a pattern whose groups are the channels, and frames whose fields are written down::

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
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged import clock
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import Block, ChannelName, Quality, Quantity, Reading, Sensor, SensorConfig, _frames, wrong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MOST_LINE = 512  # bytes
_POLL_S = 0.25  # how long one read waits; what has come is looked at between two


class Value(Block):
    """What a group of the pattern measures."""

    unit: Annotated[str, StringConstraints(max_length=16)] = Field(default="", description="°C, %, hPa, lx …")
    device_class: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="", description="Home Assistant's, such as temperature"
    )


def _pattern(text: str) -> str:
    try:
        groups = re.compile(text).groupindex
    except re.error as error:
        raise ValueError(f"this is no regular expression: {error}") from None
    if not groups:
        raise ValueError("it needs a named group for each value, such as (?P<weight>[-0-9.]+)")
    for name in groups:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", name):
            raise ValueError(f"the group '{name}' must be named with a-z, 0-9 and _")
    return text


class Config(SensorConfig):
    """The keys of ``kind: serial``."""

    kind: Literal["serial"] = Field(default="serial", description="the driver: serial")
    device: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="the port, such as /dev/serial0 or one of /dev/serial/by-id/"
    )
    baud: Annotated[int, Field(ge=50, le=4_000_000)] = Field(default=9600, description="bits per second")
    protocol: Literal["pms5003", "mhz19"] | None = Field(
        examples=["pms5003"], default=None, description="a device that is known: pms5003 or mhz19"
    )
    pattern: Annotated[str, StringConstraints(max_length=400), AfterValidator(_pattern)] | None = Field(
        examples=["T=(?P<temperature>[-0-9.]+)"],
        default=None,
        description="a regular expression that is looked for in each line; its named groups are the channels",
    )
    values: dict[ChannelName, Value] = Field(
        examples=[{}], default_factory=dict, description="units of the pattern's groups, by name"
    )
    frame: _frames.Frame | None = Field(
        examples=[{"start": "aa 55", "length": 8, "fields": {"speed": {"at": 2}}}],
        default=None,
        description="frames of bytes: start, length, checksum, fields",
    )
    timeout_s: Annotated[float, Field(ge=0.05, le=600, allow_inf_nan=False)] = Field(
        default=3.0, description="how long to wait for the device to say something, in s; below deadline_s"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """What the frame or the pattern has."""
        frame = self.told
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
    def told(self) -> _frames.Frame | None:
        """The frame: the protocol's, or the one that is written down."""
        return _frames.KNOWN[self.protocol] if self.protocol else self.frame

    @model_validator(mode="after")
    def _one_way(self) -> Config:
        if sum(key is not None for key in (self.protocol, self.pattern, self.frame)) != 1:
            raise wrong("write one of protocol, pattern and frame", "kind")
        for name in self.values:
            if name not in self.gives():
                raise wrong(f"the pattern has no group '{name}'", "values", name, "[key]")
        if self.timeout_s >= self.deadline_s:
            message = f"timeout_s ({self.timeout_s:g}) must be below deadline_s ({self.deadline_s:g})"
            raise wrong(message, "timeout_s")
        return self


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Serial(config)


class Serial:
    """Reads the next thing that the device says: what it said before may be old."""

    def __init__(self, config: Config, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._monotonic = monotonic
        self._frame = config.told
        self._pattern = re.compile(config.pattern) if config.pattern else None
        self._port: Any = None

    def open(self) -> None:
        """Open the port for this process alone."""
        try:
            import serial
        except ImportError as error:
            raise DriverError("pyserial is missing: pip install 'edged[serial]'") from error
        self.close()
        device = self._config.device
        try:
            self._port = serial.Serial(
                device, self._config.baud, timeout=_POLL_S, write_timeout=1, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise _explained(device, error) from error

    def read(self) -> Sequence[Reading]:
        """Wait for the next frame or line with a value in it."""
        if self._port is None:
            raise Unavailable(Reason.LOST, f"{self._config.device} is not open")
        try:
            self._port.reset_input_buffer()
            if self._frame is not None:
                return self._next_frame(self._frame)
            return self._next_line()
        except OSError as error:
            if isinstance(error, Unavailable):
                raise
            raise Unavailable(Reason.LOST, f"{self._config.device}: {error}") from error

    def close(self) -> None:
        """Close the port."""
        if self._port is not None:
            self._port.close()
            self._port = None

    def _next_frame(self, frame: _frames.Frame) -> Sequence[Reading]:
        until = self._monotonic() + self._config.timeout_s
        if frame.request:
            self._port.write(frame.request_bytes)
        data, damaged = b"", False
        while self._monotonic() < until:
            data += self._port.read(max(1, frame.length - len(data)))
            found, data, bad = frame.find(data)
            damaged = damaged or bad
            if found is not None:
                ts = clock.wall()
                units = frame.quantities()
                return [Reading(name, v, units[name].unit, ts) for name, v in frame.values(found).items()]
        if damaged:
            return self._nothing("the checksum is wrong")
        return self._silent()

    def _next_line(self) -> Sequence[Reading]:
        until = self._monotonic() + self._config.timeout_s
        data, whole = b"", False
        while self._monotonic() < until:
            data += self._port.read(max(1, self._port.in_waiting))
            *lines, data = data.split(b"\n")
            for line in lines:
                # The first line after the flush may have lost its beginning.
                if whole and (readings := self._parse(line)):
                    return readings
                whole = True
            data = data[-_MOST_LINE:]
        if whole:
            return self._nothing("no line fits the pattern")
        return self._silent()

    def _parse(self, line: bytes) -> list[Reading]:
        text = line[-_MOST_LINE:].decode("utf-8", "replace").strip()
        match = self._pattern.search(text) if self._pattern else None
        if match is None:
            return []
        ts, given = clock.wall(), self._config.gives()
        return [_reading(name, match.group(name), given[name].unit, ts) for name in given]

    def _nothing(self, reason: str) -> list[Reading]:
        ts = clock.wall()
        return [Reading(n, None, q.unit, ts, Quality.BAD, reason) for n, q in self._config.gives().items()]

    def _silent(self) -> Sequence[Reading]:
        message = f"{self._config.device} said nothing for {self._config.timeout_s:g} s"
        raise Unavailable(Reason.TIMEOUT, message)


def _reading(name: str, text: str | None, unit: str, ts: float) -> Reading:
    try:
        return Reading(name, float(text or ""), unit, ts)
    except ValueError:
        return Reading(name, None, unit, ts, Quality.BAD, f"'{(text or '')[:40]}' is no number")


def _explained(device: str, error: OSError | ValueError) -> Unavailable:
    text = str(error)
    code = getattr(error, "errno", None)
    if code == 13 or "Permission denied" in text:
        return Unavailable(
            Reason.DENIED,
            f"{device} may not be opened; add the user to group dialout: sudo usermod -aG dialout $USER",
        )
    if code == 11 or "lock" in text:
        return DeviceBusy(f"{device} is in use by another program")
    if code == 2 or "No such file" in text:
        return Unavailable(Reason.ABSENT, f"there is no {device}; `ls /dev/serial/by-id` shows what there is")
    return Unavailable(Reason.LOST, f"{device}: {text}")
