"""One input line of the GPIO header: motion detector (PIR), door contact, button, pulses. Needs gpiod 2.

Edges carry the kernel's time stamp, which is right even when the process was busy, from the monotonic clock,
so that setting the time does not move them. The kernel also does the debouncing, and counts the edges: with
``count``, no pulse of a water, gas or electricity meter is missed while this process sleeps.
"""

from __future__ import annotations

import errno
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from edged import drivers
from edged.drivers import wrong
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import Quantity, Reading, Sensor, SensorConfig
from edged.system import clock, permission
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEV = Path("/dev")
_GROUP = "gpio"
_BUFFER = 64  # edges that the kernel buffers; it drops the oldest when the buffer is full
_NO_INTERRUPT = (errno.ENXIO, 524)  # 524 is the kernel's own ENOTSUPP
_SHORTEST_S = 0.005  # in which a rate can be told
_MAX_EDGES = 8  # returned by one call; of more, only the first and the newest


class Config(SensorConfig):
    """The keys of ``kind: gpio``."""

    kind: Literal["gpio"] = Field(default="gpio", description="the driver: gpio")
    line: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(
        description="the line's name as `gpioinfo` shows it, such as GPIO17, or its number together with chip"
    )
    chip: str | None = Field(
        examples=["gpiochip0"],
        default=None,
        description="gpiochip0, or the chip's label such as pinctrl-rp1; default: the chip with that line",
    )
    active_low: bool = Field(default=False, description="true: the state is on while the line is at ground")
    bias: Literal["as-is", "pull-up", "pull-down", "disabled"] = Field(
        default="as-is", description="the processor's internal resistor"
    )
    debounce_ms: Annotated[float, Field(ge=0, le=10000, allow_inf_nan=False)] = Field(
        default=10, description="ignore changes shorter than this, in ms, such as those of a bouncing contact"
    )

    count: bool = Field(
        default=False,
        description="count pulses: channel rate is their number in a second, total that since the line was "
        "opened. debounce_ms must be shorter than half a pulse",
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return one state; or the rate and the number of pulses."""
        if self.count:
            return {"rate": Quantity("Hz", "frequency"), "total": Quantity()}
        return {"": Quantity(binary=True)}

    @property
    def holds(self) -> tuple[str, ...]:
        """The line."""
        return (f"gpio line {self.line}{f' of {self.chip}' if self.chip else ''}",)

    @property
    def needs(self) -> Needs:
        """The chips."""
        return Needs(devices=("/dev/gpiochip*",))

    @model_validator(mode="after")
    def _number_of_a_chip(self) -> Config:
        if self.line.isdecimal() and self.chip is None:
            message = f"line {self.line} is a number: write chip too, or a name such as GPIO17"
            raise wrong(message, "line")
        return self


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Gpio(config)


def library() -> Any:
    """Return gpiod. Raises ``DriverError`` where it is missing or too old."""
    try:
        import gpiod
    except ImportError as error:
        raise DriverError(f"gpiod is missing: {drivers.install_command('gpio')}") from error
    if not hasattr(gpiod, "request_lines"):
        raise DriverError(f"gpiod is older than version 2: {drivers.install_command('gpio')}")
    return gpiod


class Gpio:
    """One input line."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._request: Any = None
        self._line: int | str = int(config.line) if config.line.isdecimal() else config.line
        self._sequence = 0  # number of the newest edge, counted by the kernel
        self._counted_at = 0.0
        self.lost = 0  # edges that the kernel dropped

    def open(self) -> None:
        """Request the line from the kernel."""
        gpiod = library()
        self.close()
        path = self._find(gpiod)
        settings = self._settings(gpiod)
        try:
            self._request = gpiod.request_lines(
                path, config={self._line: settings}, consumer="edged", event_buffer_size=_BUFFER
            )
        except (OSError, ValueError) as error:
            raise self._explained(error, path) from error
        self._sequence = 0
        self._counted_at = time.monotonic()

    def read(self) -> Sequence[Reading]:
        """Return the state of the line now; or the rate and the number of pulses."""
        request = self._opened()
        if self._config.count:
            return self._count(request)
        try:
            value = bool(request.get_value(self._line).value)
        except OSError as error:
            raise self._explained(error, "its chip") from error
        return [Reading("", value, "", clock.wall())]

    def _count(self, request: Any) -> Sequence[Reading]:
        """Count pulses by the kernel's number of the newest one: it drops old ones, but counts them."""
        before = self._sequence
        try:
            for _ in range(_BUFFER):  # more come while these are read
                if not request.wait_edge_events(0):
                    break
                self._sequence = request.read_edge_events(_BUFFER)[-1].line_seqno
        except OSError as error:
            raise self._explained(error, "its chip") from error
        now, ts = time.monotonic(), clock.wall()
        passed_s, self._counted_at = now - self._counted_at, now
        total = Reading("total", float(self._sequence), "", ts)
        if passed_s < _SHORTEST_S:  # just opened: no rate yet
            return [total]
        return [Reading("rate", (self._sequence - before) / passed_s, "Hz", ts), total]

    def wait(self, timeout_s: float) -> Sequence[Reading]:
        """Return the edges since the last call, or none after the timeout."""
        request = self._opened()
        try:
            edges = request.read_edge_events(_BUFFER) if request.wait_edge_events(timeout_s) else []
        except OSError as error:
            raise self._explained(error, "its chip") from error
        if not edges:
            return []
        self.lost += max(0, edges[0].line_seqno - self._sequence - 1)
        self._sequence = edges[-1].line_seqno
        now_s, now_ns = clock.wall(), time.monotonic_ns()
        chosen = edges if len(edges) <= _MAX_EDGES else (edges[0], edges[-1])
        return [
            Reading(
                "", edge.event_type is edge.Type.RISING_EDGE, "", now_s - (now_ns - edge.timestamp_ns) / 1e9
            )
            for edge in chosen
        ]

    def close(self) -> None:
        """Release the line."""
        if self._request is not None:
            self._request.release()
            self._request = None

    def _opened(self) -> Any:
        if self._request is None:
            raise Unavailable(Reason.LOST, f"gpio line {self._config.line} is not open")
        return self._request

    def _settings(self, gpiod: Any) -> Any:
        line, config = gpiod.line, self._config
        bias = {
            "as-is": line.Bias.AS_IS,
            "pull-up": line.Bias.PULL_UP,
            "pull-down": line.Bias.PULL_DOWN,
            "disabled": line.Bias.DISABLED,
        }[config.bias]
        return gpiod.LineSettings(
            direction=line.Direction.INPUT,
            edge_detection=line.Edge.RISING if config.count else line.Edge.BOTH,
            bias=bias,
            active_low=config.active_low,
            debounce_period=timedelta(milliseconds=config.debounce_ms),
            event_clock=line.Clock.MONOTONIC,
        )

    def _find(self, gpiod: Any) -> str:
        """Return the path of the chip with the line."""
        chip = self._config.chip
        if chip is not None and (path := _DEV / chip).exists():
            return str(path)
        denied: Unavailable | None = None
        chips = []
        for path in sorted(_DEV.glob("gpiochip*")):
            try:
                if not gpiod.is_gpiochip_device(str(path)):
                    continue
                with gpiod.Chip(str(path)) as opened:
                    info = opened.get_info()
                    chips.append(f"{info.name} ({info.label})")
                    if chip is None:
                        opened.line_offset_from_id(self._line)
                    if chip in (None, info.name, info.label):
                        return str(path)
            except OSError as error:
                if permission.is_denied(error):
                    denied = permission.denied(error.errno, str(path), _GROUP)
        if denied:
            raise denied
        wanted = f"gpio chip {chip}" if chip else f"gpio line {self._config.line}"
        raise Unavailable(
            Reason.ABSENT, f"there is no {wanted}; available chips: {', '.join(chips) or 'none'}"
        )

    def _explained(self, error: OSError | ValueError, where: str) -> Unavailable:
        line = f"gpio line {self._config.line}"
        code = error.errno if isinstance(error, OSError) else errno.ENOENT
        if code == errno.EBUSY:
            return DeviceBusy(f"{line} of {where} is in use; `gpioinfo` shows by what")
        if permission.is_denied(error):
            return permission.denied(code, where, _GROUP)
        if code in _NO_INTERRUPT:
            return Unavailable(
                Reason.ABSENT,
                f"{line} of {where} gives no interrupts, without which edges and debounce_ms do not work: "
                "connect the wire to a line of the board itself",
            )
        if code in (errno.ENOENT, errno.EINVAL):
            return Unavailable(
                Reason.ABSENT, f"{where} has no {line}, or it does not support these settings: {error}"
            )
        return Unavailable(Reason.LOST, f"{line}: {error}")
