"""A program on this machine that prints a number, or a JSON object with several.

A number may have a name, a unit and a decimal comma (``temp=48.3'C``, ``21,5``); what can be read in two ways
is a bad reading that quotes it. The reading ends with the program, even where a child keeps its output open.

The program is started without a shell, with limits on its time and output. Like all of edged that reads raw
data, it has no network: it is for hardware that no other driver supports, not for fetching data.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from edged.drivers import Section, wrong
from edged.errors import Reason, Unavailable
from edged.sensors import ChannelName, Quality, Quantity, Reading, Sensor, SensorConfig, printed
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_BYTES = 64 * 1024  # of a program's output
_SHOWN = 80  # characters of a program's error message that are passed on
_ENDED_S = 0.05  # how often to look whether the program has ended, while a child may hold its output open


class Value(Section):
    """One value in the JSON object."""

    key: Annotated[str, StringConstraints(max_length=200)] | None = Field(
        examples=["main.temp"], default=None, description="its path: a.b is b in a; default: its own name"
    )
    unit: Annotated[str, StringConstraints(max_length=16)] = Field(default="", description="°C, %, hPa, lx …")
    device_class: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="", description="Home Assistant's device class, such as temperature"
    )
    binary: bool = Field(default=False, description="the value is true or false, not a number")


class Config(SensorConfig):
    """The keys of ``kind: command``."""

    kind: Literal["command"] = Field(default="command", description="the driver: command")
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)] = Field(
        description='the program and its arguments as a list: ["/usr/local/bin/read-tank", "--cm"]'
    )
    timeout_s: Annotated[float, Field(ge=0.05, le=600, allow_inf_nan=False)] = Field(
        default=4.0, description="the program is killed after this time, in s; below deadline_s"
    )
    values: Annotated[dict[ChannelName, Value], Field(max_length=32)] = Field(
        examples=[{}],
        default_factory=dict,
        description="the values in the JSON object, by name; if omitted, the program prints one number",
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return one quantity for each of ``values``, or one for a single number."""
        quantities = {name: Quantity(v.unit, v.device_class, v.binary) for name, v in self.values.items()}
        return quantities or {"": Quantity()}

    @model_validator(mode="after")
    def _in_time(self) -> Config:
        if self.timeout_s >= self.deadline_s:
            message = f"timeout_s ({self.timeout_s:g}) must be below deadline_s ({self.deadline_s:g})"
            raise wrong(message, "timeout_s")
        return self

    @property
    def needs(self) -> Needs:
        """The program, and the files that its arguments name."""
        program, *arguments = self.command
        files = tuple(word for word in arguments if word.startswith("/"))
        return Needs(files=files, programs=(shutil.which(program) or program,))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return Command(config)


class Command:
    """Starts the program for each reading."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._program = ""

    def open(self) -> None:
        """Find the program."""
        name = self._config.command[0]
        found = shutil.which(name)
        if found is None:
            exists = os.path.exists(name)  # noqa: PTH110 - Path.exists raises where a name is too long
            reason = Reason.DENIED if exists else Reason.ABSENT
            message = f"{name} is not executable" if exists else f"there is no program {name}"
            raise Unavailable(reason, message)
        self._program = found

    def read(self) -> Sequence[Reading]:
        """Run the program and parse its output."""
        if not self._program:
            raise Unavailable(Reason.LOST, f"{self._config.command[0]} was not opened")
        try:
            data = self._parsed(self._run())
        except _Failed as failed:
            return self._bad(str(failed))
        ts = clock.wall()
        return [self._reading(name, quantity, data, ts) for name, quantity in self._config.gives().items()]

    def close(self) -> None:
        """Forget the program, which ends after each reading."""
        self._program = ""

    def _bad(self, reason: str) -> list[Reading]:
        ts = clock.wall()
        return [Reading(n, None, q.unit, ts, Quality.BAD, reason) for n, q in self._config.gives().items()]

    def _parsed(self, output: bytes) -> Any:
        """Return the JSON, or the one number in the output. Raises ``_Failed``, quoting the output."""
        try:
            return json.loads(output, parse_constant=float)
        except (ValueError, RecursionError):
            text = output.decode("utf-8", "replace").strip()
        if not self._config.values and (number := printed.number(text)) is not None:
            return number
        if not text:
            raise _Failed("the program printed nothing, neither a number nor JSON")
        raise _Failed(f"the program printed {printed.quoted(text)}, neither a number nor JSON")

    def _reading(self, name: str, quantity: Quantity, data: Any, ts: float) -> Reading:
        key = name
        if name:
            key = self._config.values[name].key or name
            for step in key.split("."):
                data = data.get(step) if isinstance(data, dict) else None
        value = _value(data, quantity.binary)
        if value is None:
            expected = "true or false" if quantity.binary else "a number"
            where = f" under {key}" if key else ""
            instead = f": it printed {printed.quoted(data)}" if isinstance(data, str) else ""
            reason = f"the program did not print {expected}{where}{instead}"
            return Reading(name, None, quantity.unit, ts, Quality.BAD, reason)
        return Reading(name, value, quantity.unit, ts)

    def _run(self) -> bytes:
        """Return the program's output.

        Raises:
            _Failed: the program took too long, printed too much, or ended with an error.
            Unavailable: the program cannot be started any more.
        """
        arguments = [self._program, *self._config.command[1:]]
        try:
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # so that its children can be killed with it
            )
        except OSError as error:
            raise Unavailable(Reason.LOST, f"{self._program}: {error.strerror}") from error
        with process:
            try:
                output, errors = _collect(process, self._config.timeout_s)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            last = (errors.decode("utf-8", "replace").strip().splitlines() or [""])[-1][:_SHOWN]
            raise _Failed(f"the program ended with {process.returncode}{f': {last}' if last else ''}")
        return output


class _Failed(Exception):  # noqa: N818 - it becomes the reason of a reading, not an error
    """The program did not give a usable value; the message says why."""


def _collect(process: subprocess.Popen[bytes], timeout_s: float) -> tuple[bytes, bytes]:
    """Read standard output and standard error until the program has ended; of the latter keep the end.

    A child that the program leaves behind may hold both open, so the end of the program counts as well.
    """
    until = time.monotonic() + timeout_s
    pipes: dict[IO[bytes] | None, bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
    with selectors.DefaultSelector() as waiting:
        for pipe in pipes:
            if pipe is not None:
                waiting.register(pipe, selectors.EVENT_READ)
        while waiting.get_map():
            left = until - time.monotonic()
            if left <= 0:
                raise _Failed(f"the program took longer than {timeout_s:g} s")
            ended = process.poll() is not None
            ready = waiting.select(0 if ended else min(left, _ENDED_S))
            if ended and not ready:
                break
            for key, _ in ready:
                data = os.read(key.fd, _MAX_BYTES)
                if not data:
                    waiting.unregister(key.fileobj)
                elif key.fileobj is process.stdout and len(pipes[process.stdout]) + len(data) > _MAX_BYTES:
                    raise _Failed(f"the program printed more than {_MAX_BYTES // 1024} KiB")
                else:
                    pipe = process.stdout if key.fileobj is process.stdout else process.stderr
                    pipes[pipe] = (pipes[pipe] + data)[-_MAX_BYTES:]
    try:
        process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise _Failed(f"the program took longer than {timeout_s:g} s") from None
    return bytes(pipes[process.stdout]), bytes(pipes[process.stderr])


def _value(data: Any, binary: bool) -> float | bool | None:
    """Return the number or the state in JSON data, also from text; None where there is none."""
    if isinstance(data, bool):
        return data if binary else None
    if binary:
        words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
        return words.get(str(data).strip().lower()) if isinstance(data, str | int) else None
    if isinstance(data, int | float | str):
        try:
            return float(data)
        except (ValueError, OverflowError):
            return printed.number(data.strip()) if isinstance(data, str) else None
    return None
