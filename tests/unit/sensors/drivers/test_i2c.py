from __future__ import annotations

import errno
import os
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors.drivers.i2c import Config, I2c, Register, _crc8, _value
from edged.testing.i2c import Bus, Chip

if TYPE_CHECKING:
    from collections.abc import Sequence

LM75 = {"temperature": {"reg": "0x00", "bytes": 2, "signed": True, "shift": 7, "scale": 0.5, "unit": "°C"}}
SHT31 = {
    "temperature": {"bytes": 2, "crc": "sensirion", "scale": 175 / 65535, "offset": -45, "unit": "°C"},
    "humidity": {"at": 3, "bytes": 2, "crc": "sensirion", "scale": 100 / 65535, "unit": "%"},
}


def opened(registers: dict[str, Any], *, slept: list[float] | None = None, **keys: Any) -> I2c:
    config = Config(**{"address": "0x48", "registers": registers, **keys})
    sensor = I2c(config, sleep=(slept if slept is not None else []).append)
    sensor.open()
    return sensor


def values(sensor: I2c) -> Sequence[float | bool | None]:
    return [reading.value for reading in sensor.read()]


@pytest.mark.parametrize(
    ("data", "celsius"), [("1580", 21.5), ("f380", -12.5), ("0000", 0.0), ("7d00", 125.0)]
)
def test_reads_registers_by_their_description(bus: Bus, data: str, celsius: float) -> None:
    bus.chips[0x48] = Chip({0: bytes.fromhex(data)})
    sensor = opened(LM75)
    assert values(sensor) == [celsius]
    bus.chips[0x48].registers[0] = b"\x16\x00"
    assert values(sensor) == [22.0]
    sensor.close()


def test_a_command_a_pause_and_two_values_with_checksums(bus: Bus) -> None:
    answer = b"\x66\x66" + bytes([_crc8(b"\x66\x66")]) + b"\x80\x00" + bytes([_crc8(b"\x80\x00")])
    bus.chips[0x44] = Chip(answers={b"\x24\x00": answer})
    slept: list[float] = []
    sensor = opened(SHT31, address="0x44", command=["0x24", "0x00"], wait_ms=16, slept=slept)
    assert values(sensor) == pytest.approx([25.0, 50.0], abs=0.01)
    assert slept == [0.016]
    damaged = bytearray(answer)
    damaged[2] ^= 1
    bus.chips[0x44].answers[b"\x24\x00"] = bytes(damaged)
    temperature, humidity = sensor.read()
    assert (temperature.quality, temperature.value, temperature.reason) == (
        "bad",
        None,
        "the checksum is wrong",
    )
    assert humidity.value == pytest.approx(50, abs=0.01)
    sensor.close()


def test_writes_its_setup_each_time_it_is_opened(bus: Bus) -> None:
    chip = bus.chips[0x48] = Chip({0: b"\x00\x00"})
    sensor = opened(LM75, setup=[{"reg": "1", "values": ["0x60", "0xa0"]}])
    assert chip.written == [b"\x01\x60\xa0"]
    sensor.close()
    sensor.open()
    assert chip.written == [b"\x01\x60\xa0"] * 2
    sensor.close()


def test_a_floating_point_number_in_words_with_checksums(bus: Bus) -> None:
    """The answer in the SCD30's description of its interface: 439.09 ppm."""
    bus.chips[0x61] = Chip(answers={b"\x03\x00": bytes.fromhex("43db cb 8c2e 8f".replace(" ", ""))})
    co2 = {"co2": {"bytes": 4, "float": True, "crc": "sensirion", "unit": "ppm"}}
    sensor = opened(co2, address="0x61", command=["0x03", "0x00"])
    assert values(sensor) == pytest.approx([439.09], abs=0.01)
    sensor.close()
    little = Register(bytes=8, float=True, order="little")
    assert _value(little, struct.pack("<d", -2.5)) == -2.5
    with pytest.raises(ValueError, match="a floating-point number has 4 or 8 bytes"):
        Register(bytes=2, float=True)


def test_a_setup_of_commands_and_pauses(bus: Bus) -> None:
    chip = bus.chips[0x48] = Chip({0: b"\x15\x80"})
    slept: list[float] = []
    setup = [
        {"command": ["0x3f", "0x86"], "wait_ms": 500},
        {"command": ["0x01"]},
        {"reg": "2", "values": ["7"]},
    ]
    sensor = opened(LM75, setup=setup, slept=slept)
    assert (chip.written, slept) == ([b"\x3f\x86", b"\x01", b"\x02\x07"], [0.5])
    sensor.close()


class Scd40(Chip):
    """Refuses to start while it measures, and to answer for a while after its start, as the SCD40 does."""

    def __init__(self) -> None:
        super().__init__()
        self.measures, self.ready = False, False

    def write(self, data: bytes) -> None:
        if (data == b"\x21\xb1" and self.measures) or (data == b"\xec\x05" and not self.ready):
            raise OSError(errno.EREMOTEIO, os.strerror(errno.EREMOTEIO))
        self.measures = self.measures or data == b"\x21\xb1"
        self.pending = b"\x02\x64" + bytes([_crc8(b"\x02\x64")])


CO2 = {"co2": {"bytes": 2, "crc": "sensirion", "unit": "ppm"}}


def test_a_chip_that_is_not_ready_gives_bad_readings_and_stays_open(bus: Bus) -> None:
    chip = bus.chips[0x62] = Scd40()
    start = {"command": ["0x21", "0xb1"], "may_fail": True}
    sensor = opened(CO2, address="0x62", command=["0xec", "0x05"], setup=[start])
    for _ in range(5):
        (reading,) = sensor.read()
        assert (reading.value, reading.quality) == (None, "bad")
        assert reading.reason.startswith("no answer from 0x62 on /dev/i2c-1 (Remote I/O error)")
    chip.ready = True
    assert values(sensor) == [612]
    sensor.close()
    sensor.open()  # while it measures, which refuses the start
    assert values(sensor) == [612]
    sensor.close()


def test_a_step_of_setup_that_is_refused_is_named(bus: Bus) -> None:
    bus.chips[0x62] = Scd40()
    bus.chips[0x62].write(b"\x21\xb1")
    with pytest.raises(
        Unavailable, match=r"step 1 of setup: no answer from 0x62 .* write may_fail: true"
    ) as caught:
        opened(CO2, address="0x62", setup=[{"reg": "0x21", "values": ["0xb1"]}])
    assert caught.value.reason is Reason.LOST


@pytest.mark.parametrize("code", [errno.EREMOTEIO, errno.ENXIO, errno.EIO, errno.ETIMEDOUT])
def test_a_chip_that_does_not_answer_for_long_is_lost_and_set_up_again(bus: Bus, code: int) -> None:
    bus.chips[0x48] = Chip({0: b"\x15\x80"})
    bus.no_answer = code
    now = iter([0.0, 10.0, 29.9, 30.0, 50.0, 60.0, 85.0])
    config = Config(address="0x48", registers=LM75, setup=[{"reg": "1", "values": ["0x60"]}])
    sensor = I2c(config, monotonic=lambda: next(now))
    sensor.open()
    away = bus.chips.pop(0x48)
    assert [sensor.read()[0].quality.value for _ in range(3)] == ["bad"] * 3
    with pytest.raises(Unavailable, match="no answer from 0x48 on /dev/i2c-1") as caught:
        sensor.read()
    assert caught.value.reason is Reason.LOST
    with pytest.raises(Unavailable, match="no answer from 0x48"):
        sensor.open()
    bus.chips[0x48] = away
    sensor.open()
    assert values(sensor) == [21.5]
    assert away.written == [b"\x01\x60"] * 2
    assert values(sensor) == [21.5]
    bus.chips.pop(0x48)
    assert [sensor.read()[0].quality.value for _ in range(2)] == ["bad"] * 2, "it is counted anew"
    sensor.close()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"setup": [{"reg": "1"}]}, "write reg and values, or command"),
        ({"setup": [{"values": ["1"]}]}, "write reg and values, or command"),
        (
            {"setup": [{"reg": "1", "values": ["1"], "command": ["1"]}]},
            "write either command, or reg and values",
        ),
        (
            {"setup": [{"command": ["1"], "wait_ms": 3000}] * 2},
            r"a pause of 6000 ms is not below deadline_s \(5 s\)",
        ),
        ({"wait_ms": 5000}, "a pause of 5000 ms is not below deadline_s"),
    ],
)
def test_an_impossible_conversation_is_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Config(address="0x48", registers=LM75, **keys)


@pytest.mark.parametrize(
    ("registers", "keys"), [(LM75, {}), (SHT31, {"command": ["0x24", "0x00"]})], ids=["registers", "command"]
)
def test_an_address_that_a_kernel_driver_holds_is_busy(bus: Bus, registers: Any, keys: Any) -> None:
    chip = bus.chips[0x48] = Chip(held=True)
    with pytest.raises(DeviceBusy, match=r"a kernel driver holds 0x48 .* kind hwmon or iio"):
        opened(registers, **keys).read()
    assert not chip.written, "it was told nothing behind the driver's back"


@pytest.mark.usefixtures("bus")
def test_a_bus_that_is_not_there_is_absent() -> None:
    with pytest.raises(Unavailable, match="there is no /dev/i2c-7") as caught:
        opened(LM75, bus=7)
    assert caught.value.reason is Reason.ABSENT


def test_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smbus2", None)
    with pytest.raises(DriverError, match=r"pip install 'edged\[i2c\]'"):
        opened(LM75)


def test_an_impossible_configuration_is_refused() -> None:
    for keys in ({"address": "0x148"}, {"address": "256"}, {"address": "010"}, {"registers": {}}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            Config(**{"address": "0x48", "registers": LM75, **keys})


@pytest.mark.parametrize("address", ["0x00", "0x02", "0x78", "0x90", "0xff"])
def test_an_address_that_no_chip_can_have_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="from 0x03 to 0x77"):
        Config(address=address, registers=LM75)


@pytest.mark.parametrize("address", ["44", "76", "03", "40"])
def test_a_decimal_address_that_may_be_meant_hexadecimal_is_questioned(address: str) -> None:
    meant = rf"write 0x{address} if that is what it shows, else 0x{int(address):02x}"
    with pytest.raises(ValueError, match=meant if address != "03" else "address"):
        Config(address=address, registers=LM75)


@pytest.mark.parametrize("address", ["0x44", "104", "118", "78"])
def test_other_addresses_are_clear(address: str) -> None:
    assert Config(address=address, registers=LM75).address == address


@pytest.mark.parametrize(
    "register",
    [{"at": 30, "bytes": 8}, {"at": 31, "bytes": 2}, {"at": 30, "bytes": 2, "crc": "sensirion"}],
)
def test_a_value_beyond_a_block_of_32_bytes_is_refused(register: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="ends after the 32 bytes"):
        Config(address="0x48", registers={"value": {"reg": "0", **register}})


def test_a_value_may_end_with_the_block(bus: Bus) -> None:
    bus.chips[0x48] = Chip({0: bytes(31) + b"\x07"})
    sensor = opened({"value": {"reg": "0", "at": 24, "bytes": 8}})
    assert values(sensor) == [7]
    sensor.close()


def test_sensirions_checksum_is_that_of_its_data_sheet() -> None:
    assert _crc8(b"\xbe\xef") == 0x92


@given(
    st.binary(min_size=1, max_size=8), st.integers(0, 63), st.sampled_from(["big", "little"]), st.booleans()
)
def test_a_value_is_within_its_bits(data: bytes, shift: int, order: Any, signed: bool) -> None:
    part = Register(bytes=len(data), order=order, signed=signed, shift=shift)
    value = _value(part, data)
    assert value is not None
    assert value == int.from_bytes(data, order, signed=signed) >> shift
    some = _value(part.model_copy(update={"bits": 5}), data)
    assert some is not None
    assert 0 <= some < 32
