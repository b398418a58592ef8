"""Binary frames of serial devices: their start bytes, checksum and fields."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged.drivers import Section, wrong
from edged.sensors import ChannelName, Finite, Quantity, units

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_BYTES = 256  # of a frame
_READ = 6  # bytes of a request of Modbus to read registers, without its checksum
_BYTES = r"^[0-9a-fA-F]{2}( ?[0-9a-fA-F]{2}){0,63}$"


def _normalized(text: str) -> str:
    return " ".join(re.findall("..", text.replace(" ", "").lower()))


Hex = Annotated[str, StringConstraints(pattern=_BYTES), AfterValidator(_normalized)]  # such as "42 4d"


def _crc16_modbus(data: bytes) -> int:
    """Return the checksum of Modbus RTU: polynomial 0x8005 reflected, initial value 0xffff."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc


# The size in bytes, the order, and the function of each checksum.
_SUMS: dict[str, tuple[int, Literal["big", "little"], Callable[[bytes], int]]] = {
    "sum8": (1, "big", lambda data: sum(data) & 0xFF),
    "sum16": (2, "big", lambda data: sum(data) & 0xFFFF),
    "xor": (1, "big", lambda data: reduce(lambda a, b: a ^ b, data, 0)),
    "winsen": (1, "big", lambda data: -sum(data) & 0xFF),
    "crc16-modbus": (2, "little", _crc16_modbus),
}


class FrameField(Section):
    """One value in a frame."""

    at: Annotated[int, Field(ge=0, lt=_MAX_BYTES)] = Field(
        description="position of its first byte, counted from 0"
    )
    bytes: Annotated[int, Field(ge=1, le=8)] = Field(default=1, description="number of bytes")
    order: Literal["big", "little"] = Field(default="big", description="which byte comes first")
    signed: bool = Field(default=False, description="two's complement")
    scale: Finite = Field(default=1.0, description="multiply by this …")
    offset: Finite = Field(default=0.0, description="… then add this")
    unit: Annotated[str, StringConstraints(max_length=16)] = Field(default="", description="°C, %, ppm …")
    device_class: Annotated[str, StringConstraints(max_length=40)] = Field(
        default="", description="Home Assistant's device class, such as pm25"
    )
    low: Finite | None = Field(default=None, description="lower values are impossible, and bad")
    high: Finite | None = Field(default=None, description="higher values are impossible, and bad")


class Frame(Section):
    """A frame of fixed length."""

    start: Hex = Field(description='the bytes at the start of each frame, such as "42 4d"')
    length: Annotated[int, Field(ge=2, le=_MAX_BYTES)] = Field(
        description="length in bytes, with start and checksum"
    )
    end: Hex | None = Field(
        examples=["ab"], default=None, description='the bytes at the end of each frame, such as "ab"'
    )
    checksum: Literal["none", "sum8", "sum16", "xor", "winsen", "crc16-modbus"] = Field(
        default="none",
        description="checksum at the end, before the end bytes: sum8 or sum16 (of all bytes before it), xor, "
        "winsen (as MH-Z19), crc16-modbus, or none",
    )
    checksum_at: Annotated[int, Field(ge=1, lt=_MAX_BYTES)] | None = Field(
        examples=[8], default=None, description="position of the checksum; default: at the end"
    )
    checksum_from: Annotated[int, Field(ge=0, lt=_MAX_BYTES)] | None = Field(
        examples=[2],
        default=None,
        description="position of the first byte that the checksum covers; default: 0, and 1 for winsen",
    )
    checksum_to: Annotated[int, Field(ge=1, lt=_MAX_BYTES)] | None = Field(
        examples=[8],
        default=None,
        description="position after the last byte that the checksum covers; default: that of the checksum",
    )
    request: Hex | None = Field(
        examples=["ff 01 86 00 00 00 00 00 79"],
        default=None,
        description="bytes to send to request a frame; if omitted, the device sends unasked",
    )
    fields: Annotated[dict[ChannelName, FrameField], Field(min_length=1, max_length=32)] = Field(
        description="the values, by name"
    )

    @model_validator(mode="after")
    def _fits(self) -> Frame:
        for name, field in self.fields.items():
            if field.at + field.bytes > self.length:
                message = f"the field {name} ends after the frame ({self.length} bytes)"
                raise wrong(message, "fields", name, "at")
        return self

    @model_validator(mode="after")
    def _covers(self) -> Frame:
        if self.checksum == "none":
            for key in ("checksum_at", "checksum_from", "checksum_to"):
                if getattr(self, key) is not None:
                    raise wrong("write checksum too: there is none", key)
            return self
        at, size = self._checksum_at, self._size
        if at < 1 or at + size > self.length:
            raise wrong(
                f"the checksum ({size} bytes) ends after the frame ({self.length} bytes)", "checksum_at"
            )
        first, last = self._covered
        if not first < last <= self.length or (first < at + size and at < last):
            raise wrong(f"the checksum at {at} cannot cover the bytes {first} to {last - 1}", "checksum_from")
        return self

    @model_validator(mode="after")
    def _asks_with_checksum(self) -> Frame:
        asked = self.request_bytes
        if self.checksum == "crc16-modbus" and len(asked) in (_READ, _READ + 2):
            whole = asked[:_READ] + _crc16_modbus(asked[:_READ]).to_bytes(2, "little")
            if whole != asked:
                raise wrong(f'the checksum of the request is wrong; write "{whole.hex(" ")}"', "request")
        return self

    @property
    def _size(self) -> int:
        return _SUMS[self.checksum][0] if self.checksum != "none" else 0

    @property
    def _checksum_at(self) -> int:
        ends = len(bytes.fromhex(self.end or ""))
        at = self.checksum_at
        return self.length - ends - self._size if at is None else at

    @property
    def _covered(self) -> tuple[int, int]:
        """The position of the first byte that the checksum covers, and that after the last one."""
        first, last = self.checksum_from, self.checksum_to
        if first is None:
            first = 1 if self.checksum == "winsen" else 0
        return first, self._checksum_at if last is None else last

    @property
    def request_bytes(self) -> bytes:
        """The bytes to send; may be empty."""
        return bytes.fromhex(self.request or "")

    def quantities(self) -> Mapping[str, Quantity]:
        """Return the quantities of the fields, by name."""
        return {n: Quantity(f.unit, f.device_class, low=f.low, high=f.high) for n, f in self.fields.items()}

    def find(self, data: bytes) -> tuple[bytes | None, bytes, bool]:
        """Find a frame in the received data.

        Returns:
            The frame or None, the rest of the data, to be put before the data received next, and whether a
            frame with a wrong checksum was skipped.
        """
        start, damaged = bytes.fromhex(self.start), False
        while True:
            at = data.find(start)
            if at < 0:
                # The end may be the first part of a start.
                return None, data[len(data) - len(start) + 1 :] if len(start) > 1 else b"", damaged
            frame = data[at : at + self.length]
            if len(frame) < self.length:
                return None, data[at:], damaged
            if self._is_whole(frame):
                return frame, data[at + self.length :], damaged
            damaged = True
            data = data[at + 1 :]  # these start bytes were part of something else

    def values(self, frame: bytes) -> dict[str, float]:
        """Return the values of a complete frame, without the digits that binary fractions add."""
        return {
            name: units.tidy(
                int.from_bytes(frame[f.at : f.at + f.bytes], f.order, signed=f.signed) * f.scale + f.offset
            )
            for name, f in self.fields.items()
        }

    def _is_whole(self, frame: bytes) -> bool:
        if not frame.endswith(bytes.fromhex(self.end or "")):
            return False
        first, last = self._covered
        at, size = self._checksum_at, self._size
        covered, found = frame[first:last], frame[at : at + size]
        if not size:
            return True
        _, order, checksum = _SUMS[self.checksum]
        return int.from_bytes(found, order) == checksum(covered)


def _mass(at: int, device_class: str) -> FrameField:
    return FrameField(at=at, bytes=2, unit="µg/m³", device_class=device_class, high=5000)


def _tenths(at: int, device_class: str) -> FrameField:
    return FrameField(
        at=at, bytes=2, order="little", scale=0.1, unit="µg/m³", device_class=device_class, high=999.9
    )


KNOWN: dict[str, Frame] = {
    # Plantower's data sheet: 16-bit words; 4..9 are the concentrations "under atmospheric environment".
    "pms5003": Frame(
        start="42 4d 00 1c",
        length=32,
        checksum="sum16",
        fields={"pm1": _mass(10, "pm1"), "pm2_5": _mass(12, "pm25"), "pm10": _mass(14, "pm10")},
    ),
    # Nova Fitness' data sheet: active mode, one frame a second; the checksum covers the six data bytes.
    "sds011": Frame(
        start="aa c0",
        length=10,
        end="ab",
        checksum="sum8",
        checksum_from=2,
        fields={"pm2_5": _tenths(2, "pm25"), "pm10": _tenths(4, "pm10")},
    ),
    # Winsen's data sheet: command 0x86; the temperature is the one inside, offset by 40.
    "mhz19": Frame(
        start="ff 86",
        length=9,
        checksum="winsen",
        request="ff 01 86 00 00 00 00 00 79",
        fields={
            "co2": FrameField(at=2, bytes=2, unit="ppm", device_class="carbon_dioxide", low=1, high=10000),
            "temperature": FrameField(at=4, offset=-40, unit="°C", device_class="temperature"),
        },
    ),
}
