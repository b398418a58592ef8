"""Binary frames of serial devices: their start bytes, checksum and fields."""

from __future__ import annotations

import re
from functools import reduce
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from edged.drivers import Section, wrong
from edged.sensors import ChannelName, Finite, Quantity

if TYPE_CHECKING:
    from collections.abc import Mapping

_MAX_BYTES = 256  # of a frame
_BYTES = r"^[0-9a-fA-F]{2}( ?[0-9a-fA-F]{2}){0,63}$"


def _normalized(text: str) -> str:
    return " ".join(re.findall("..", text.replace(" ", "").lower()))


Hex = Annotated[str, StringConstraints(pattern=_BYTES), AfterValidator(_normalized)]  # such as "42 4d"


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
    checksum: Literal["none", "sum8", "sum16", "xor", "winsen"] = Field(
        default="none",
        description="checksum at the end: sum8 or sum16 (of all bytes before it), xor, winsen (as MH-Z19), "
        "or none",
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
        """Return the values of a complete frame."""
        return {
            name: int.from_bytes(frame[f.at : f.at + f.bytes], f.order, signed=f.signed) * f.scale + f.offset
            for name, f in self.fields.items()
        }

    def _is_whole(self, frame: bytes) -> bool:
        match self.checksum:
            case "sum8":
                return sum(frame[:-1]) & 0xFF == frame[-1]
            case "sum16":
                return sum(frame[:-2]) & 0xFFFF == int.from_bytes(frame[-2:], "big")
            case "xor":
                return reduce(lambda a, b: a ^ b, frame[:-1], 0) == frame[-1]
            case "winsen":
                return -sum(frame[1:-1]) & 0xFF == frame[-1]
        return True


def _mass(at: int, device_class: str) -> FrameField:
    return FrameField(at=at, bytes=2, unit="µg/m³", device_class=device_class, high=5000)


KNOWN: dict[str, Frame] = {
    # Plantower's data sheet: 16-bit words; 4..9 are the concentrations "under atmospheric environment".
    "pms5003": Frame(
        start="42 4d 00 1c",
        length=32,
        checksum="sum16",
        fields={"pm1": _mass(10, "pm1"), "pm2_5": _mass(12, "pm25"), "pm10": _mass(14, "pm10")},
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
