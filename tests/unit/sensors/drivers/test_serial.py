from __future__ import annotations

import itertools
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import serial_frames
from edged.sensors.drivers.serial import Config, Serial
from edged.testing.serial_devices import SerialDevice, mhz19_frame, pms5003_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

PMS, MHZ = serial_frames.KNOWN["pms5003"], serial_frames.KNOWN["mhz19"]
ASKED = bytes.fromhex("ff0186000000000079")


def opened(device: SerialDevice, **keys: Any) -> Serial:
    sensor = Serial(Config(**{"device": device.path, "timeout_s": 1, **keys}))
    sensor.open()
    return sensor


def values(sensor: Serial) -> dict[str, float | bool | None]:
    return {reading.channel: reading.value for reading in sensor.read()}


def test_pms5003() -> None:
    frames = (pms5003_frame(n, 2 * n, 3 * n) for n in itertools.count(5))
    with SerialDevice(lambda: next(frames)) as device:
        sensor = opened(device, protocol="pms5003")
        first, second = sensor.read(), values(sensor)
        assert {r.channel: r.unit for r in first} == dict.fromkeys(("pm1", "pm2_5", "pm10"), "µg/m³")
        assert second["pm2_5"] == 2 * second["pm1"]
        assert second["pm10"] == 3 * second["pm1"]
        assert second["pm1"] > first[0].value, "a reading is of now"
        sensor.close()


def test_mhz19_answers_a_request() -> None:
    with SerialDevice(lambda: mhz19_frame(612, 24), asked=ASKED) as device:
        sensor = opened(device, protocol="mhz19")
        assert values(sensor) == {"co2": 612, "temperature": 24}
        assert values(sensor) == {"co2": 612, "temperature": 24}
        sensor.close()


def test_a_damaged_frame_is_skipped() -> None:
    good = pms5003_frame(1, 2, 3)
    damaged = good[:20] + bytes([good[20] ^ 0x40]) + good[21:]
    said = itertools.cycle([damaged, damaged[:17], good])
    with SerialDevice(lambda: next(said)) as device:
        sensor = opened(device, protocol="pms5003")
        assert [values(sensor) for _ in range(4)] == [{"pm1": 1, "pm2_5": 2, "pm10": 3}] * 4
        sensor.close()


def test_damaged_frames_only_are_bad_readings() -> None:
    frame = mhz19_frame(612, 24)
    with SerialDevice(lambda: frame[:-1] + bytes([frame[-1] ^ 1]), asked=ASKED) as device:
        sensor = opened(device, protocol="mhz19", timeout_s=0.2)
        readings = sensor.read()
        assert [(r.value, r.quality, r.reason) for r in readings] == [
            (None, "bad", "the checksum is wrong")
        ] * 2
        sensor.close()


def test_lines_by_a_pattern() -> None:
    lines = itertools.cycle([b"boot v1.2\r\n", b"T=21.5 H=", b"40\r\n", b"T=bad H=41\r\n"])
    with SerialDevice(lambda: next(lines)) as device:
        sensor = opened(
            device,
            pattern=r"T=(?P<temperature>\S+) H=(?P<humidity>\S+)",
            values={"temperature": {"unit": "°C"}},
        )
        seen = [{r.channel: (r.value, r.unit) for r in sensor.read()} for _ in range(6)]
        assert {"temperature": (21.5, "°C"), "humidity": (40.0, "")} in seen
        assert {"temperature": (None, "°C"), "humidity": (41.0, "")} in seen
        sensor.close()


def test_the_newest_frame_between_two_readings_is_returned() -> None:
    lines = iter([b"W:0\n", b"W:1\nW:2\n", None, b"W:3\nW:4\nW:"])
    with SerialDevice(lambda: next(lines, None), pause_s=0.05) as device:
        sensor = opened(device, pattern="W:(?P<weight>[0-9]+)", timeout_s=0.3)
        assert values(sensor) == {"weight": 2}
        threading.Event().wait(0.3)
        assert values(sensor) == {"weight": 4}
        with pytest.raises(Unavailable, match="sent nothing"):
            sensor.read()
        sensor.close()


def test_a_full_kernel_buffer_is_discarded() -> None:
    said = iter([pms5003_frame(1, 1, 1) * 64, *[None] * 40, pms5003_frame(2, 2, 2)])
    with SerialDevice(lambda: next(said, None), pause_s=0.01) as device:
        sensor = opened(device, protocol="pms5003")
        threading.Event().wait(0.2)
        assert values(sensor)["pm1"] == 2
        sensor.close()


def test_lines_that_never_match_are_bad_readings() -> None:
    with SerialDevice(lambda: b"noise\n") as device:
        sensor = opened(device, pattern="W:(?P<weight>[0-9]+)", timeout_s=0.2)
        (reading,) = sensor.read()
        assert (reading.value, reading.reason) == (None, "no line matches the pattern")
        sensor.close()


def test_a_configured_frame() -> None:
    body = bytes([0xAA, 0x55, 0xFF, 0x9C, 7])
    frame = {
        "start": "AA55",
        "length": 6,
        "checksum": "xor",
        "fields": {
            "speed": {"at": 2, "bytes": 2, "signed": True, "scale": 0.1, "unit": "m/s"},
            "gusts": {"at": 4, "offset": 1},
        },
    }
    whole = body + bytes([0xAA ^ 0x55 ^ 0xFF ^ 0x9C ^ 7])
    with SerialDevice(lambda: whole) as device:
        sensor = opened(device, frame=frame)
        assert values(sensor) == {"speed": pytest.approx(-10.0), "gusts": 8}
        sensor.close()


def test_a_silent_device_times_out() -> None:
    with SerialDevice(lambda: None) as device:
        sensor = opened(device, protocol="pms5003", timeout_s=0.1)
        with pytest.raises(Unavailable, match=r"sent nothing for 0.1 s") as caught:
            sensor.read()
        assert caught.value.reason is Reason.TIMEOUT
        sensor.close()


def test_a_device_that_is_unplugged_is_lost() -> None:
    with SerialDevice(lambda: None) as device:
        sensor = opened(device, protocol="pms5003")
        device.unplug()
        with pytest.raises(Unavailable) as caught:
            sensor.read()
        assert caught.value.reason is Reason.LOST
        sensor.close()


def test_a_port_in_use_is_busy_and_a_missing_one_absent() -> None:
    with SerialDevice(lambda: None) as device:
        first = opened(device, protocol="pms5003")
        with pytest.raises(DeviceBusy, match="in use"):
            opened(device, protocol="pms5003")
        first.close()
    with pytest.raises(Unavailable, match="there is no /dev/ttyNOWHERE") as caught:
        Serial(Config(device="/dev/ttyNOWHERE", protocol="mhz19")).open()
    assert caught.value.reason is Reason.ABSENT


def test_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(DriverError, match=r"pip install 'edged\[serial\]'"):
        Serial(Config(device="/dev/ttyS0", protocol="mhz19")).open()


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({}, "write exactly one of protocol, pattern and frame"),
        ({"protocol": "mhz19", "pattern": "(?P<a>.)"}, "write exactly one of"),
        ({"pattern": "(?P<a>"}, "not a regular expression"),
        ({"pattern": "[0-9]+"}, "must have a named group"),
        ({"pattern": "(?P<A>.)"}, "may only have a-z"),
        ({"pattern": "(?P<a>.)", "values": {"b": {}}}, "no group 'b'"),
        ({"protocol": "mhz19", "timeout_s": 5}, "must be below deadline_s"),
        (
            {"frame": {"start": "aa", "length": 4, "fields": {"x": {"at": 3, "bytes": 2}}}},
            "ends after the frame",
        ),
    ],
)
def test_an_impossible_configuration_is_refused(keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Config(device="/dev/ttyS0", **keys)


@pytest.fixture(scope="module", autouse=True)
def no_terminal_is_left() -> Iterator[None]:
    before = len(list(Path("/proc/self/fd").iterdir()))
    yield
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1


@given(st.binary(max_size=80), st.binary(max_size=80), st.integers(1, 40))
def test_a_frame_is_found_in_any_noise_however_it_arrives(before: bytes, after: bytes, piece: int) -> None:
    whole = mhz19_frame(700, 20)
    stream, data, found = before + whole + after, b"", []
    for at in range(0, len(stream), piece):
        data += stream[at : at + piece]
        while True:
            frame, data, _ = MHZ.find(data)
            if frame is None:
                break
            found.append(frame)
        assert len(data) < MHZ.length, "nothing piles up"
    if b"\xff\x86" not in before[-8:] + b"\xff":
        assert whole in found
    assert all(MHZ._is_whole(frame) for frame in found)


@given(st.binary(max_size=300))
def test_noise_with_a_wrong_checksum_is_never_a_frame(noise: bytes) -> None:
    frame, rest, _ = PMS.find(noise)
    assert frame is None or sum(frame[:-2]) == int.from_bytes(frame[-2:], "big")
    assert noise.endswith(rest)
