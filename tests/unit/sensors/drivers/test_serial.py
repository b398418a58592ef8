from __future__ import annotations

import itertools
import os
import random
import sys
import termios
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.loader import loads
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors import serial_frames, serial_listeners, serial_ports
from edged.sensors.drivers.serial import Config, Serial
from edged.testing.serial_devices import SerialDevice, mhz19_frame, pms5003_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

PMS, MHZ = serial_frames.KNOWN["pms5003"], serial_frames.KNOWN["mhz19"]
FRAME = {"start": "aa", "length": 4, "fields": {"x": {"at": 1}}}
ASKED = bytes.fromhex("ff0186000000000079")


def opened(device: SerialDevice, **keys: Any) -> Serial:
    sensor = Serial(Config(**{"device": device.path, "timeout_s": 1, **keys}))
    sensor.open()
    return sensor


def values(sensor: Serial) -> dict[str, float | bool | None]:
    return {reading.channel: reading.value for reading in sensor.read()}


def eventually(sensor: Serial, expected: dict[str, float]) -> None:
    """Read until the newest values are these: on a busy machine the device's thread is late."""
    seen: dict[str, float | bool | None] = {}
    for _ in range(200):
        seen |= values(sensor)
        if seen == expected:
            return
    raise AssertionError(seen)


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
        sensor = opened(device, protocol="mhz19", timeout_s=0.6)
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
    lines = iter([b"W:1\nW:2\n", None, None, b"W:3\nW:4\nW:"])
    with SerialDevice(lambda: next(lines, None), pause_s=0.05) as device:
        sensor = opened(device, pattern="W:(?P<weight>[0-9]+)", timeout_s=0.3)
        assert values(sensor) == {"weight": 2}
        eventually(sensor, {"weight": 4})
        assert list(sensor.read()) == [], "nothing new"
        sensor.close()


def test_what_piles_up_between_two_readings_is_read_to_its_end() -> None:
    said = iter([pms5003_frame(1, 1, 1) * 64, pms5003_frame(2, 2, 2) * 64, pms5003_frame(3, 3, 3)])
    with SerialDevice(lambda: next(said, None), pause_s=0.01) as device:
        sensor = opened(device, protocol="pms5003")
        eventually(sensor, {"pm1": 3, "pm2_5": 3, "pm10": 3})
        sensor.close()


def test_lines_that_never_match_are_bad_readings() -> None:
    with SerialDevice(lambda: b"noise\n") as device:
        sensor = opened(device, pattern="W:(?P<weight>[0-9]+)", timeout_s=0.2)
        (reading,) = next(
            filter(None, (sensor.read() for _ in range(50)))
        )  # on a busy machine lines come late
        assert (reading.value, reading.quality) == (None, "bad")
        assert reading.reason == "no line matches the pattern; the last one is 'noise'"
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


def test_silence_is_no_reading_and_no_reason_to_close() -> None:
    said = iter([None] * 10 + [pms5003_frame(1, 2, 3)])
    with SerialDevice(lambda: next(said, None), pause_s=0.05) as device:
        sensor = opened(device, protocol="pms5003", timeout_s=0.1)
        assert list(sensor.read()) == []
        port = sensor._port
        assert list(sensor.read()) == []
        eventually(sensor, {"pm1": 1, "pm2_5": 2, "pm10": 3})
        assert sensor._port is port
        sensor.close()


def test_a_request_without_an_answer_is_a_bad_reading() -> None:
    with SerialDevice(lambda: None) as device:
        sensor = opened(device, protocol="mhz19", timeout_s=0.1)
        readings = sensor.read()
        assert [(r.quality.value, r.value) for r in readings] == [("bad", None)] * 2
        assert readings[0].reason == f"{device.path}: no answer to the request within 0.1 s"
        sensor.close()


def test_the_first_line_counts_where_the_port_was_silent_before_it() -> None:
    said = iter([None] * 6 + [b"W:1\r\n"])
    with SerialDevice(lambda: next(said, None), pause_s=0.05) as device:
        sensor = opened(device, pattern="W:(?P<weight>[0-9]+)")
        assert values(sensor) == {"weight": 1}
        sensor.close()


def test_the_first_line_does_not_count_where_it_may_be_a_part() -> None:
    said = itertools.cycle([b"1", b"2.5\n"])
    with SerialDevice(lambda: next(said), pause_s=0.005) as device:
        sensor = opened(device, pattern="(?P<weight>[0-9.]+)")
        assert values(sensor) == {"weight": 12.5}
        sensor.close()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("W:(?P<w>[0-9.]+)", [12.5]),
        ("[A-Z]:(?P<w>[0-9.]+)", []),
        ("(?P<w>[0-9.]+)", []),
        (r"\w:(?P<w>[0-9.]+)", []),
        ("W:(?P<w>[0-9.]+)|(?P<v>[0-9.]+)", []),
        ("W:(?P<w>[0-9.]+)|V(?P<v>[0-9.]+)", [12.5]),
        ("W?:(?P<w>[0-9.]+)", []),
    ],
)
def test_of_a_line_under_way_counts_what_follows_a_text(pattern: str, expected: list[float]) -> None:
    config = Config(device="/dev/null", pattern=pattern)
    lines = serial_listeners.Lines(config.patterns, config.gives(), opened_at=5.0)
    lines.feed(b"99 W:12", 5.01, 1.0)
    lines.feed(b".5\n", 5.02, 2.0)
    assert [(reading.value, reading.ts) for reading in lines.take()] == [(value, 2.0) for value in expected]
    assert lines.fault == ""
    lines.feed(b"W:7\n", 6.0, 3.0)
    assert [reading.value for reading in lines.take()] == [7]


@pytest.mark.parametrize(
    "pattern",
    ["T=(?P<t>[0-9.,]+)|H=(?P<h>[0-9.]+)", ["T=(?P<t>[0-9.,]+)", "H=(?P<h>[0-9.]+)"]],
    ids=["alternatives", "list"],
)
@pytest.mark.parametrize("lines", [[b"T=21,5\r\n", b"H=40\r\n"], [b"H=40 T=21,5\n"], [b"T=21.5\rH=40\r"]])
def test_each_line_fills_the_channels_that_it_has(pattern: Any, lines: list[bytes]) -> None:
    said = itertools.cycle(lines)
    with SerialDevice(lambda: next(said)) as device:
        sensor = opened(device, pattern=pattern, values={"t": {"unit": "°C"}})
        eventually(sensor, {"t": 21.5, "h": 40})
        sensor.close()


def test_a_telegram_of_a_smart_meter() -> None:
    """A P1 port sends all its lines at a time, and nothing in between."""
    telegram = (
        b"/XMX5LGBBFFB231158062\r\n\r\n1-3:0.2.8(42)\r\n0-0:1.0.0(160904211031S)\r\n"
        b"1-0:1.8.1(004017.711*kWh)\r\n1-0:1.8.2(002827.154*kWh)\r\n1-0:1.7.0(00.627*kW)\r\n!4FF5\r\n"
    )
    said = itertools.cycle([None, None, None, telegram, None, None, None])
    with SerialDevice(lambda: next(said), pause_s=0.04) as device:
        sensor = opened(
            device,
            framing="7e1",
            pattern=[
                r"1-0:1\.8\.1\((?P<night>[0-9.]+)",
                r"1-0:1\.8\.2\((?P<day>[0-9.]+)",
                r"1-0:1\.7\.0\((?P<now>[0-9.]+)",
            ],
        )
        found: dict[str, Any] = {}
        while len(found) < 3:
            found |= values(sensor)
        assert found == {"night": 4017.711, "day": 2827.154, "now": 0.627}
        sensor.close()


def test_a_channel_without_news_is_left_out() -> None:
    said = iter([b"x\n", b"T=1\n", b"H=2\n", *[None] * 10, b"T=3\n"])
    with SerialDevice(lambda: next(said, None), pause_s=0.05) as device:
        sensor = opened(device, pattern=["T=(?P<t>[0-9]+)", "H=(?P<h>[0-9]+)"])
        eventually(sensor, {"t": 1, "h": 2})
        assert values(sensor) == {"t": 3}
        sensor.close()


def test_sensors_share_a_port() -> None:
    lines = itertools.cycle([b"T=21.5\n", b"H=40\n", b"P=1013\n"])
    with SerialDevice(lambda: next(lines)) as device:
        sensors = [opened(device, pattern=f"{name.upper()}=(?P<{name}>[0-9.]+)") for name in "thpx"]
        assert len({id(sensor._port) for sensor in sensors}) == 1
        for sensor, expected in zip(sensors, [{"t": 21.5}, {"h": 40.0}, {"p": 1013.0}], strict=False):
            eventually(sensor, expected)
        assert list(sensors[3].read()) == [], "the lines are the others'"
        sensors[0].close()
        sensors[0].close()
        eventually(sensors[1], {"h": 40})
        with pytest.raises(DeviceBusy, match="is open with other settings for another sensor"):
            opened(device, pattern="(?P<a>.)", baud=19200)
        for sensor in sensors:
            sensor.close()
        opened(device, pattern="(?P<a>.)", baud=19200).close()


class Slaves:
    """Modbus slaves on one line: each answers its own request, one after the other, some of them late."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def answer(self, request: bytes) -> bytes:
        slave, register = request[0], request[3]
        self.asked.append(slave)
        body = bytes([slave, 4, 2, register, slave])
        return body + serial_frames._crc16_modbus(body).to_bytes(2, "little")


def modbus(slave: int, register: int) -> dict[str, Any]:
    body = bytes([slave, 4, 0, register, 0, 1])
    request = (body + serial_frames._crc16_modbus(body).to_bytes(2, "little")).hex(" ")
    start = f"{slave:02x} 04 02"
    fields = {"register": {"at": 3}, "slave": {"at": 4}}
    return {"start": start, "length": 7, "checksum": "crc16-modbus", "request": request, "fields": fields}


def hammered(sensors: list[Serial], expected: list[dict[str, float]], reads: int) -> list[Any]:
    """Read sensors at random intervals, each in a thread; return what is not its own."""
    wrong, pause = [], threading.Event()

    def run(sensor: Serial, own: dict[str, float]) -> None:
        for _ in range(reads):
            wrong.extend(r for r in sensor.read() if r.value != own[r.channel])
            pause.wait(random.random() * 0.002)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(sensors, expected, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong


@pytest.mark.parametrize("reads", [20, pytest.param(2000, marks=pytest.mark.slow)])
def test_sensors_on_one_line_ask_one_after_the_other(reads: int) -> None:
    slaves = Slaves()
    with SerialDevice(slaves.answer, asked=8) as device:
        places = [(1, 0), (1, 1), (1, 2), (2, 0), (2, 1), (3, 0), (3, 7), (9, 9)]
        sensors = [opened(device, frame=modbus(*p), timeout_s=2, deadline_s=90) for p in places]
        assert hammered(sensors, [{"slave": s, "register": r} for s, r in places], reads) == []
        assert len(slaves.asked) == reads * len(places)
        for sensor in sensors:
            sensor.close()


def test_a_late_answer_is_not_taken_for_the_next_ones() -> None:
    slaves, given_up = Slaves(), threading.Event()

    def answer(request: bytes) -> bytes:
        if not slaves.asked:
            given_up.wait(10)
        return slaves.answer(request)

    with SerialDevice(answer, asked=8) as device:
        late = opened(device, frame=modbus(1, 0), timeout_s=0.15)
        next_one = opened(device, frame=modbus(1, 5), timeout_s=2)
        assert [r.quality.value for r in late.read()] == ["bad", "bad"]
        given_up.set()
        assert values(next_one) == {"slave": 1, "register": 5}
        late.close()
        next_one.close()


def test_sds011_and_a_checksum_of_a_part_of_the_frame() -> None:
    data = bytes([0xD2, 0x04, 0x0A, 0x07, 0x12, 0x34])
    whole = b"\xaa\xc0" + data + bytes([sum(data) & 255, 0xAB])
    damaged = whole[:3] + b"\x05" + whole[4:]
    said = itertools.cycle([damaged, whole])
    by_hand = {
        "start": "aa c0",
        "length": 10,
        "checksum": "sum8",
        "checksum_at": 8,
        "checksum_from": 2,
        "checksum_to": 8,
        "fields": {"pm2_5": {"at": 2, "bytes": 2, "order": "little", "scale": 0.1}},
    }
    with SerialDevice(lambda: next(said)) as device:
        built_in, own = opened(device, protocol="sds011"), opened(device, frame=by_hand)
        assert [(r.channel, r.value, r.unit) for r in built_in.read()] == [
            ("pm2_5", pytest.approx(123.4), "µg/m³"),
            ("pm10", pytest.approx(180.2), "µg/m³"),
        ]
        assert values(own) == {"pm2_5": pytest.approx(123.4)}
        built_in.close()
        own.close()


def test_a_sum_of_more_than_eight_bits_is_cut() -> None:
    frame, rest, damaged = serial_frames.KNOWN["sds011"].find(bytes.fromhex("aac02c0037007e2304ab"))
    assert (rest, damaged) == (b"", False)
    assert frame is not None
    assert serial_frames.KNOWN["sds011"].values(frame) == {"pm2_5": 4.4, "pm10": 5.5}


def test_modbus_checksum_is_that_of_its_specification() -> None:
    assert serial_frames._crc16_modbus(bytes.fromhex("01040000000a")).to_bytes(2, "little").hex() == "700d"


def test_closing_a_port_leaves_its_control_lines() -> None:
    with SerialDevice(lambda: None) as device:
        sensor = opened(device, protocol="pms5003", dtr=False, rts=False)
        descriptor = os.open(device.path, os.O_RDWR | os.O_NOCTTY)
        assert not termios.tcgetattr(descriptor)[2] & termios.HUPCL
        os.close(descriptor)
        sensor.close()


def test_control_lines_are_set_before_the_port_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    serial = serial_ports.library()
    set_to: list[tuple[str, bool]] = []
    monkeypatch.setattr(serial.Serial, "_update_dtr_state", lambda p: set_to.append(("dtr", p._dtr_state)))
    monkeypatch.setattr(serial.Serial, "_update_rts_state", lambda p: set_to.append(("rts", p._rts_state)))
    with SerialDevice(lambda: None) as device:
        opened(device, protocol="pms5003", dtr=False, rts=True).close()
    assert set_to == [("dtr", False), ("rts", True)]


def test_bits_and_parity_are_set() -> None:
    with SerialDevice(lambda: None) as device:
        sensor = opened(device, protocol="pms5003", framing="7e1")
        assert sensor._port is not None
        port = sensor._port._serial
        assert (port.bytesize, port.parity, port.stopbits) == (7, "E", 1)
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
        other = serial_ports.library().Serial(device.path, exclusive=True)
        with pytest.raises(DeviceBusy, match="in use by another program"):
            opened(device, protocol="pms5003")
        other.close()
    with pytest.raises(Unavailable, match="there is no /dev/ttyNOWHERE") as caught:
        Serial(Config(device="/dev/ttyNOWHERE", protocol="mhz19")).open()
    assert caught.value.reason is Reason.ABSENT


def test_a_port_may_be_named_relative_to_the_configuration(tmp_path: Path) -> None:
    config = loads("sensors: {a: {kind: serial, device: ttyUSB0, protocol: mhz19}}", "edged.yaml", tmp_path)
    sensor = Serial(cast("Config", config.sensors["a"]))
    with pytest.raises(Unavailable, match=rf"there is no {tmp_path}/ttyUSB0; did you mean /dev/ttyUSB0\?"):
        sensor.open()
    with SerialDevice(lambda: mhz19_frame(612, 24), asked=ASKED) as device:
        (tmp_path / "ttyUSB0").symlink_to(device.path)
        sensor.open()
        assert values(sensor)["co2"] == 612
        sensor.close()


def test_a_port_whose_name_leads_elsewhere_now_is_closed(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    with SerialDevice(lambda: b"T=1\n") as one, SerialDevice(lambda: b"T=2\n") as other:
        link.symlink_to(one.path)
        first = Serial(Config(device=str(link), pattern="T=(?P<t>[0-9]+)"))
        first.open()
        link.unlink()
        link.symlink_to(other.path)
        first.close()
        link.unlink()
        link.symlink_to(one.path)
        first.open()
        assert values(first) == {"t": 1}
        first.close()


def test_a_port_that_failed_is_opened_anew() -> None:
    with SerialDevice(lambda: None) as device:
        first, second = (opened(device, protocol="pms5003") for _ in range(2))
        failed = first._port
        assert failed is not None
        with failed.news:
            failed.error = OSError(5, "Input/output error")
            failed.news.notify_all()
        for sensor in (first, second):
            with pytest.raises(Unavailable, match="Input/output error"):
                sensor.read()
            sensor.close()
        first.open()
        assert first._port is not failed
        first.close()


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
        ({"pattern": []}, "pattern"),
        ({"pattern": ["(?P<a>.)", "("]}, "not a regular expression"),
        ({"frame": FRAME | {"checksum_at": 2}}, "write checksum too"),
        ({"frame": FRAME | {"checksum": "sum16", "checksum_at": 3}}, r"\(2 bytes\) ends after the frame"),
        ({"frame": FRAME | {"checksum": "sum8", "checksum_to": 4}}, "cannot cover the bytes 0 to 3"),
        ({"frame": FRAME | {"checksum": "sum8", "checksum_from": 3}}, "cannot cover"),
        (
            {"frame": FRAME | {"checksum": "crc16-modbus", "request": "01 04 00 00 00 0a"}},
            'the request is wrong; write "01 04 00 00 00 0a 70 0d"',
        ),
        (
            {"frame": FRAME | {"checksum": "crc16-modbus", "request": "01 04 00 00 00 0a 70 0e"}},
            'the request is wrong; write "01 04 00 00 00 0a 70 0d"',
        ),
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
