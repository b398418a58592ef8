"""A chip on the I²C bus without a kernel driver, read by the registers in the configuration. Needs smbus2.

An SHT31 (command, pause, two values with checksums) and an LM75 (a register)::

    climate:
      kind: i2c
      address: 0x44
      command: [0x24, 0x00]
      wait_ms: 16
      registers:
        temperature: {at: 0, bytes: 2, crc: sensirion, scale: 0.00267033, offset: -45, unit: °C}
        humidity: {at: 3, bytes: 2, crc: sensirion, scale: 0.00152590, unit: "%"}
    cellar:
      kind: i2c
      address: 0x48
      registers:
        temperature: {reg: 0x00, bytes: 2, signed: true, shift: 7, scale: 0.5, unit: °C}

A reading and ``setup`` hold the chip from the first byte to the last: sensors on one chip take turns. A chip
that does not answer gives bad readings; if that lasts, it is lost, and is set up again when it answers.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from edged import drivers
from edged.drivers import Section, wrong
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import (
    ChannelName,
    Finite,
    Quality,
    Quantity,
    Reading,
    Sensor,
    SensorConfig,
    overlays,
    turns,
    units,
)
from edged.system import clock, permission
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

_MAX_BYTES = 32  # of one SMBus block
_SINGLE = 4  # bytes of a number of single precision
_FIRST, _LAST = 0x03, 0x77  # addresses that a chip can have; the others are reserved
_SELECT = 0x0703  # I2C_SLAVE, which the kernel refuses where one of its drivers holds the address
_NO_ANSWER = frozenset({errno.EREMOTEIO, errno.ENXIO, errno.EIO, errno.ETIMEDOUT, errno.EAGAIN})
_LOST_AFTER_S, _LOST_AFTER = 30.0, 3  # a chip is lost after this time and this many readings without answer
_ioctl = fcntl.ioctl  # tests substitute a bus here
_BYTE = r"^(0[xX][0-9a-fA-F]{1,2}|0|[1-9][0-9]{0,2})$"


def _is_byte(text: str) -> str:
    if int(text, 0) > 255:
        raise ValueError("must be from 0 to 255 (0xff)")
    return text


def _is_address(text: str) -> str:
    if len(text) == 2 and text.isdecimal() and int(text, 16) <= _LAST:
        raise ValueError(
            f"{text} is decimal, the chip at 0x{int(text):02x}, but i2cdetect prints hexadecimal: "
            f"write 0x{text} if that is what it shows, else 0x{int(text):02x}"
        )
    if not _FIRST <= int(text, 0) <= _LAST:
        raise ValueError("must be from 0x03 to 0x77; where a data sheet gives eight bits, write half of it")
    return text


# Hexadecimal, as in data sheets; an editor's YAML parser reads 0x48 as a number.
Byte = Annotated[
    str,
    StringConstraints(pattern=_BYTE),
    AfterValidator(_is_byte),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _BYTE}, {"type": "integer", "minimum": 0, "maximum": 255}]}
    ),
]


class Register(Section):
    """One value."""

    reg: Byte | None = Field(
        examples=["0x00"],
        default=None,
        description="its register; if omitted, the value is in the answer to command",
    )
    at: Annotated[int, Field(ge=0, lt=_MAX_BYTES)] = Field(
        default=0, description="position of its first byte in the answer"
    )
    bytes: Annotated[int, Field(ge=1, le=8)] = Field(default=1, description="number of bytes")
    order: Literal["big", "little"] = Field(default="big", description="which byte comes first")
    signed: bool = Field(default=False, description="two's complement")
    float: bool = Field(default=False, description="a floating-point number (IEEE 754) of 4 or 8 bytes")
    shift: Annotated[int, Field(ge=0, le=63)] = Field(default=0, description="number of low bits to drop")
    bits: Annotated[int, Field(ge=1, le=64)] | None = Field(
        examples=[12], default=None, description="number of bits to keep after the shift; default: all"
    )
    crc: Literal["none", "sensirion"] = Field(
        default="none", description="sensirion: a checksum follows every two bytes"
    )
    scale: Finite = Field(default=1.0, description="multiply by this, from the data sheet …")
    offset: Finite = Field(default=0.0, description="… then add this")
    unit: Annotated[str, StringConstraints(max_length=16)] = Field(default="", description="°C, %, hPa, lx …")
    device_class: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="", description="Home Assistant's device class, such as temperature"
    )
    low: Finite | None = Field(default=None, description="lower values are impossible, and bad")
    high: Finite | None = Field(default=None, description="higher values are impossible, and bad")

    @model_validator(mode="after")
    def _is_one_number(self) -> Register:
        if self.float and (self.bytes not in (4, 8) or self.signed or self.shift or self.bits):
            raise wrong("a floating-point number has 4 or 8 bytes, and no signed, shift or bits", "float")
        return self

    @model_validator(mode="after")
    def _fits(self) -> Register:
        if self.reg is not None and self.at + _size(self) > _MAX_BYTES:
            raise wrong(f"the value ends after the {_MAX_BYTES} bytes that can be read from a register", "at")
        return self


class Setting(Section):
    """A step that is taken when the sensor is opened: bytes to a register, or a command; and a pause."""

    reg: Byte | None = Field(examples=["0x01"], default=None, description="the register to write")
    values: Annotated[tuple[Byte, ...], Field(max_length=_MAX_BYTES)] = Field(
        examples=[["0x10"]], default=(), description="the bytes to write to the register, such as [0x10]"
    )
    command: Annotated[tuple[Byte, ...], Field(max_length=_MAX_BYTES)] = Field(
        examples=[["0x21", "0xb1"]],
        default=(),
        description="in place of reg and values: the bytes of a command, such as [0x21, 0xb1]",
    )
    wait_ms: Annotated[float, Field(ge=0, le=60000, allow_inf_nan=False)] = Field(
        default=0, description="pause after this step, in ms"
    )
    may_fail: bool = Field(
        default=False,
        description="go on where the chip refuses this step, such as a start while it already runs",
    )

    @model_validator(mode="after")
    def _is_one_step(self) -> Setting:
        if self.command and (self.reg is not None or self.values):
            raise wrong("write either command, or reg and values", "command")
        if not self.command and (self.reg is None or not self.values):
            raise wrong("write reg and values, or command", "reg")
        return self

    @property
    def data(self) -> tuple[int, ...]:
        """The bytes to write."""
        return tuple(
            int(byte, 0) for byte in (*self.command, *([self.reg] if self.reg else ()), *self.values)
        )


class Config(SensorConfig):
    """The keys of ``kind: i2c``."""

    kind: Literal["i2c"] = Field(default="i2c", description="the driver: i2c")
    bus: Annotated[int, Field(ge=0, le=255)] = Field(default=1, description="the bus; 1 is /dev/i2c-1")
    address: Annotated[Byte, AfterValidator(_is_address)] = Field(
        description="the chip's address, such as 0x48, as `i2cdetect -y 1` shows it"
    )
    setup: Annotated[tuple[Setting, ...], Field(max_length=64)] = Field(
        examples=[[]], default=(), description="steps on opening, such as the chip's mode"
    )
    command: Annotated[tuple[Byte, ...], Field(max_length=_MAX_BYTES)] = Field(
        examples=[["0x24", "0x00"]],
        default=(),
        description="bytes to write before each reading, such as [0x24, 0x00]",
    )
    wait_ms: Annotated[float, Field(ge=0, le=10000, allow_inf_nan=False)] = Field(
        default=0, description="pause between command and answer, in ms"
    )
    registers: Annotated[dict[ChannelName, Register], Field(min_length=1, max_length=32)] = Field(
        description="the values, by name"
    )

    def gives(self) -> Mapping[str, Quantity]:
        """Return one quantity for each of ``registers``."""
        return {
            name: Quantity(r.unit, r.device_class, low=r.low, high=r.high)
            for name, r in self.registers.items()
        }

    @model_validator(mode="after")
    def _in_time(self) -> Config:
        pauses = {"wait_ms": self.wait_ms, "setup": sum(step.wait_ms for step in self.setup)}
        for key, pause_ms in pauses.items():
            if pause_ms >= self.deadline_s * 1000:
                message = f"a pause of {pause_ms:g} ms is not below deadline_s ({self.deadline_s:g} s)"
                raise wrong(message, key)
        return self

    @property
    def remedy(self) -> str:
        """The line that switches the bus on."""
        return overlays.bus(self.bus)

    @property
    def needs(self) -> Needs:
        """The bus."""
        return Needs(devices=(f"/dev/i2c-{self.bus}",))


def create(config: Config) -> Sensor:
    """Return the sensor."""
    return I2c(config)


def library() -> Any:
    """Return smbus2. Raises ``DriverError`` where it is missing."""
    try:
        import smbus2
    except ImportError as error:
        raise DriverError(f"smbus2 is missing: {drivers.install_command('i2c')}") from error
    return smbus2


class I2c:
    """One chip on the bus."""

    def __init__(
        self,
        config: Config,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._monotonic = monotonic
        self._unanswered, self._unanswered_since = 0, 0.0
        self._address = int(config.address, 0)
        self._sleep = sleep
        self._bus: Any = None

    def open(self) -> None:
        """Open the bus and take the steps of ``setup``."""
        smbus2 = library()
        self.close()
        self._unanswered = 0
        try:
            self._bus = smbus2.SMBus(self._config.bus)
            self._select()
            if self._config.setup:
                with self._turn():
                    self._set_up()
        except turns.Waited as waited:
            self.close()
            raise DeviceBusy(str(waited)) from waited
        except OSError as error:
            self.close()
            if isinstance(error, Unavailable):
                raise
            raise self._explained(error) from error

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        if self._bus is None:
            raise Unavailable(Reason.LOST, f"I²C bus {self._config.bus} is not open")
        try:
            with self._turn():
                answer = self._answer()
                found = [self._reading(name, part, answer) for name, part in self._config.registers.items()]
        except turns.Waited as waited:
            return self._bad(str(waited))
        except OSError as error:
            if error.errno not in _NO_ANSWER:
                raise self._explained(error) from error
            return self._not_answered(error)
        self._unanswered = 0
        return found

    def close(self) -> None:
        """Close the bus."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    @property
    def _descriptor(self) -> int:
        """The bus's descriptor; -1 where the library has none."""
        return getattr(self._bus, "fd", None) or -1

    def _select(self) -> None:
        """Refuse a chip that a kernel driver holds: a command would reach it behind the driver's back."""
        if self._descriptor < 0:
            return
        try:
            _ioctl(self._descriptor, _SELECT, self._address)
        except OSError as error:
            if error.errno != errno.ENOTTY:  # which is what anything but a bus of the kernel answers
                raise

    def _turn(self) -> AbstractContextManager[None]:
        """Hold the chip for a conversation."""
        pause_s = self._config.wait_ms / 1000
        return turns.take(
            f"/dev/i2c-{self._config.bus} 0x{self._address:02x}",
            0.8 * (self._config.deadline_s - pause_s),
            descriptor=self._descriptor,
            at=self._address,
        )

    def _set_up(self) -> None:
        """Take the steps of ``setup``. Raises ``Unavailable`` where the chip refuses one."""
        for number, step in enumerate(self._config.setup, 1):
            try:
                self._write(step.data)
            except OSError as error:
                if error.errno not in _NO_ANSWER:
                    raise
                if not step.may_fail:
                    what = f"step {number} of setup: {self._explained(error)}"
                    hint = "if the chip refuses it while it runs, write may_fail: true"
                    raise Unavailable(Reason.LOST, f"{what}; {hint}") from error
            if step.wait_ms:
                self._sleep(step.wait_ms / 1000)

    def _write(self, data: tuple[int, ...]) -> None:
        import smbus2

        self._bus.i2c_rdwr(smbus2.i2c_msg.write(self._address, data))

    def _not_answered(self, error: OSError) -> Sequence[Reading]:
        """Return bad readings for a chip that did not answer; raise ``Unavailable`` where that lasts."""
        now = self._monotonic()
        if not self._unanswered:
            self._unanswered_since = now
        self._unanswered += 1
        lost = self._explained(error)
        if self._unanswered >= _LOST_AFTER and now - self._unanswered_since >= _LOST_AFTER_S:
            raise lost from error
        return self._bad(str(lost))

    def _bad(self, reason: str) -> Sequence[Reading]:
        ts = clock.wall()
        parts = self._config.registers
        return [Reading(name, None, part.unit, ts, Quality.BAD, reason) for name, part in parts.items()]

    def _answer(self) -> bytes:
        """Send the command and return the chip's answer; empty where no value is read from it."""
        import smbus2

        if self._config.command:
            self._write(tuple(int(value, 0) for value in self._config.command))
            if self._config.wait_ms:
                self._sleep(self._config.wait_ms / 1000)
        parts = [r for r in self._config.registers.values() if r.reg is None]
        if not parts:
            return b""
        message = smbus2.i2c_msg.read(self._address, max(r.at + _size(r) for r in parts))
        self._bus.i2c_rdwr(message)
        return bytes(message)

    def _reading(self, name: str, part: Register, answer: bytes) -> Reading:
        if part.reg is not None:
            data = self._bus.read_i2c_block_data(self._address, int(part.reg, 0), part.at + _size(part))
            answer = bytes(data)
        value = _value(part, answer[part.at : part.at + _size(part)])
        if value is None:
            return Reading(name, None, part.unit, clock.wall(), Quality.BAD, "the checksum is wrong")
        return Reading(name, units.tidy(value * part.scale + part.offset), part.unit, clock.wall())

    def _explained(self, error: OSError) -> Unavailable:
        path, address = f"/dev/i2c-{self._config.bus}", f"0x{self._address:02x}"
        if error.errno == errno.EBUSY:
            return DeviceBusy(f"a kernel driver holds {address} on {path}: use kind hwmon or iio")
        if permission.is_denied(error):
            return permission.denied(error.errno, path, "i2c")
        if error.errno in (errno.ENOENT, errno.ENODEV):
            return Unavailable(Reason.ABSENT, f"there is no {path}; enable I²C with raspi-config")
        message = f"no answer from {address} on {path} ({error.strerror})"
        return Unavailable(Reason.LOST, f"{message}; `i2cdetect -y {self._config.bus}` lists the chips")


def _size(part: Register) -> int:
    """Return the number of bytes to read for a value, with its checksums."""
    return part.bytes + ((part.bytes + 1) // 2 if part.crc == "sensirion" else 0)


def _value(part: Register, data: bytes) -> float | None:
    """Return the number in the bytes, or None where a checksum is wrong."""
    if part.crc == "sensirion":
        words = [data[i : i + 3] for i in range(0, len(data), 3)]
        if any(_crc8(word[:-1]) != word[-1] for word in words):
            return None
        data = b"".join(word[:-1] for word in words)
    if part.float:
        order = ">" if part.order == "big" else "<"
        real: float = struct.unpack(f"{order}{'f' if len(data) == _SINGLE else 'd'}", data)[0]
        return real
    number = int.from_bytes(data, part.order, signed=part.signed) >> part.shift
    return number if part.bits is None else number & ((1 << part.bits) - 1)


def _crc8(data: bytes) -> int:
    """Return Sensirion's checksum: polynomial 0x31, initial value 0xff."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = ((crc << 1) ^ 0x31 if crc & 0x80 else crc << 1) & 0xFF
    return crc
