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
"""

from __future__ import annotations

import errno
import fcntl
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from edged import drivers
from edged.drivers import Section, wrong
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import ChannelName, Finite, Quality, Quantity, Reading, Sensor, SensorConfig, permission
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_MAX_BYTES = 32  # of one SMBus block
_FIRST, _LAST = 0x03, 0x77  # addresses that a chip can have; the others are reserved
_SELECT = 0x0703  # I2C_SLAVE, which the kernel refuses where one of its drivers holds the address
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
    def _fits(self) -> Register:
        if self.reg is not None and self.at + _size(self) > _MAX_BYTES:
            raise wrong(f"the value ends after the {_MAX_BYTES} bytes that can be read from a register", "at")
        return self


class Setting(Section):
    """Bytes that are written when the sensor is opened."""

    reg: Byte = Field(description="the register to write")
    values: Annotated[tuple[Byte, ...], Field(min_length=1, max_length=_MAX_BYTES)] = Field(
        description="the bytes to write, such as [0x10]"
    )


class Config(SensorConfig):
    """The keys of ``kind: i2c``."""

    kind: Literal["i2c"] = Field(default="i2c", description="the driver: i2c")
    bus: Annotated[int, Field(ge=0, le=255)] = Field(default=1, description="the bus; 1 is /dev/i2c-1")
    address: Annotated[Byte, AfterValidator(_is_address)] = Field(
        description="the chip's address, such as 0x48, as `i2cdetect -y 1` shows it"
    )
    setup: Annotated[tuple[Setting, ...], Field(max_length=64)] = Field(
        examples=[[]], default=(), description="registers to write on opening, such as the chip's mode"
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

    def __init__(self, config: Config, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._config = config
        self._address = int(config.address, 0)
        self._sleep = sleep
        self._bus: Any = None

    def open(self) -> None:
        """Open the bus and write the registers of ``setup``."""
        smbus2 = library()
        self.close()
        try:
            self._bus = smbus2.SMBus(self._config.bus)
            # The message that carries the command would reach the chip although a kernel driver uses it.
            _ioctl(self._bus.fd, _SELECT, self._address)
            for setting in self._config.setup:
                values = [int(value, 0) for value in setting.values]
                self._bus.write_i2c_block_data(self._address, int(setting.reg, 0), values)
        except OSError as error:
            self.close()
            raise self._explained(error) from error

    def read(self) -> Sequence[Reading]:
        """Measure now."""
        if self._bus is None:
            raise Unavailable(Reason.LOST, f"I²C bus {self._config.bus} is not open")
        try:
            answer = self._answer()
            return [self._reading(name, part, answer) for name, part in self._config.registers.items()]
        except OSError as error:
            raise self._explained(error) from error

    def close(self) -> None:
        """Close the bus."""
        if self._bus is not None:
            self._bus.close()
            self._bus = None

    def _answer(self) -> bytes:
        """Send the command and return the chip's answer; empty where no value is read from it."""
        import smbus2

        if self._config.command:
            command = [int(value, 0) for value in self._config.command]
            self._bus.i2c_rdwr(smbus2.i2c_msg.write(self._address, command))
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
        return Reading(name, value * part.scale + part.offset, part.unit, clock.wall())

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


def _value(part: Register, data: bytes) -> int | None:
    """Return the number in the bytes, or None where a checksum is wrong."""
    if part.crc == "sensirion":
        words = [data[i : i + 3] for i in range(0, len(data), 3)]
        if any(_crc8(word[:-1]) != word[-1] for word in words):
            return None
        data = b"".join(word[:-1] for word in words)
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
