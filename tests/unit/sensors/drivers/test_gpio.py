from __future__ import annotations

import errno
import inspect
import sys
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.sensors.drivers.gpio import Config, Gpio
from edged.testing import gpiod as double

if TYPE_CHECKING:
    from edged.testing.gpiod import Header


def opened(**keys: Any) -> Gpio:
    sensor = Gpio(Config(**{"line": "GPIO17", "debounce_ms": 0, **keys}))
    sensor.open()
    return sensor


def test_reads_the_state_of_the_line(header: Header) -> None:
    sensor = opened()
    assert sensor.read()[0].value is False
    header.set(17, True)
    assert sensor.read()[0].value is True
    sensor.close()


def test_active_low_with_a_pull_up_is_off_until_the_contact_closes(header: Header) -> None:
    sensor = opened(active_low=True, bias="pull-up")
    assert sensor.read()[0].value is False
    header.set(17, True)
    assert sensor.wait(0) == [], "the resistor held it there already"
    header.set(17, False)
    assert sensor.read()[0].value is True
    header.set(17, True)
    assert [reading.value for reading in sensor.wait(0)] == [True, False]
    sensor.close()


def test_pulses_are_counted_also_those_that_the_kernel_dropped(header: Header) -> None:
    sensor = opened(count=True)
    assert Config(line="GPIO17", count=True).gives().keys() == {"rate", "total"}
    threading.Event().wait(0.05)
    assert {r.channel: r.value for r in sensor.read()} == {"rate": 0.0, "total": 0.0}
    began = time.monotonic()
    for _ in range(1000):  # more than the kernel keeps
        header.set(17, True)
        header.set(17, False)
    threading.Event().wait(0.1)
    rate, total = sensor.read()
    assert total.value == 1000
    assert rate.value == pytest.approx(1000 / (time.monotonic() - began), rel=0.2)
    header.set(17, True)
    threading.Event().wait(0.02)
    assert sensor.read()[1].value == 1001
    sensor.close()
    sensor.open()
    threading.Event().wait(0.02)
    assert sensor.read()[-1].value == 0
    sensor.close()


def test_edges_come_in_order_with_the_time_of_the_kernel(header: Header) -> None:
    sensor = opened()
    began = time.time()
    header.set(17, True)
    between = time.time()
    header.set(17, False)
    ended = time.time()
    threading.Event().wait(0.05)  # the process is busy
    up, down = sensor.wait(1)
    assert (up.value, down.value) == (True, False)
    assert began - 0.02 <= up.ts <= between + 0.02
    assert up.ts <= down.ts <= ended + 0.02
    assert sensor.wait(0) == []
    sensor.close()


def test_the_kernel_debounces(header: Header) -> None:
    sensor = opened(debounce_ms=50)
    for level in (True, False, True, False, True):
        header.set(17, level)
    assert sensor.wait(0) == [], "it was not stable yet"
    assert [reading.value for reading in sensor.wait(1)] == [True]
    assert sensor.read()[0].value is True
    sensor.close()


def test_a_change_shorter_than_the_period_leaves_no_trace(header: Header) -> None:
    sensor = opened(debounce_ms=50)
    header.set(17, True)
    assert sensor.read()[0].value is False
    header.set(17, False)
    assert sensor.wait(0.1) == []
    assert sensor.read()[0].value is False
    sensor.close()


@pytest.mark.parametrize("code", [errno.ENXIO, 524])
def test_a_line_without_interrupts_is_explained(header: Header, code: int) -> None:
    header.no_interrupts = code
    with pytest.raises(Unavailable, match=r"GPIO17 of .*gpiochip0 gives no interrupts") as caught:
        opened()
    assert caught.value.reason is Reason.ABSENT


def test_a_flood_returns_the_first_and_newest_edge_and_counts_dropped_ones(header: Header) -> None:
    sensor = opened()
    for number in range(10_000):
        header.set(17, number % 2 == 0)
    edges = sensor.wait(0)
    assert len(edges) == 2
    assert sensor.lost == 10_000 - 64
    header.set(17, True)
    assert [reading.value for reading in sensor.wait(0)] == [True]
    assert sensor.lost == 10_000 - 64
    sensor.close()


@pytest.mark.parametrize(
    "keys",
    [{"line": "17", "chip": "gpiochip0"}, {"line": "17", "chip": "pinctrl-double"}, {"line": "GPIO17"}],
)
def test_finds_the_line_by_number_or_name(header: Header, keys: dict[str, str]) -> None:
    sensor = opened(**keys)
    header.set(17, True)
    assert sensor.read()[0].value is True
    sensor.close()


def test_a_number_without_a_chip_is_refused() -> None:
    with pytest.raises(ValueError, match="line 17 is a number: write chip too"):
        Config(line="17")


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"line": "PIR"}, "there is no gpio line PIR; available chips: gpiochip0 .pinctrl-double."),
        ({"chip": "pinctrl-rp1"}, "there is no gpio chip pinctrl-rp1; available chips: gpiochip0"),
        ({"line": "99", "chip": "gpiochip0"}, "has no gpio line 99"),
    ],
)
@pytest.mark.usefixtures("header")
def test_an_absent_line_or_chip_is_named(keys: dict[str, str], says: str) -> None:
    with pytest.raises(Unavailable, match=says) as caught:
        opened(**keys)
    assert caught.value.reason is Reason.ABSENT


@pytest.mark.usefixtures("header")
def test_a_line_that_is_held_is_busy() -> None:
    first = opened()
    with pytest.raises(DeviceBusy, match=r"GPIO17 .* is in use"):
        opened()
    first.close()
    opened().close()


@pytest.mark.parametrize(
    ("code", "says"), [(errno.EACCES, "group gpio"), (errno.EPERM, "DeviceAllow=char-gpiochip rw")]
)
@pytest.mark.parametrize("chip", [None, "gpiochip0"])
def test_names_what_gives_permission(header: Header, code: int, says: str, chip: str | None) -> None:
    header.denied = code
    with pytest.raises(Unavailable, match=says) as caught:
        opened(chip=chip)
    assert caught.value.reason is Reason.DENIED


def test_a_chip_that_goes_is_lost(header: Header) -> None:
    sensor = opened()
    header.unplugged = True
    for use in (sensor.read, lambda: sensor.wait(0)):
        with pytest.raises(Unavailable) as caught:
            use()
        assert caught.value.reason is Reason.LOST
    sensor.close()


@pytest.mark.parametrize("module", [None, SimpleNamespace(Chip=object, __version__="1.6.3")])
def test_names_the_extra_where_gpiod_is_missing_or_old(monkeypatch: pytest.MonkeyPatch, module: Any) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", module)
    with pytest.raises(DriverError, match=r"pip install 'edged\[gpio\]'"):
        opened()


def _parameters(function: Any) -> list[tuple[str, Any]]:
    return [(p.name, p.kind) for p in inspect.signature(function).parameters.values() if p.name != "self"]


def test_the_double_has_the_signatures_of_the_real_module() -> None:
    gpiod = pytest.importorskip("gpiod", reason="gpiod comes with the extra 'test'")
    module = double._module(double.Header("/dev/gpiochip9"))
    assert _parameters(module.request_lines) == _parameters(gpiod.request_lines)
    assert _parameters(module.LineSettings) == _parameters(gpiod.LineSettings)
    assert _parameters(module.EdgeEvent) == _parameters(gpiod.EdgeEvent)
    for name in ("get_value", "wait_edge_events", "read_edge_events", "release"):
        assert _parameters(getattr(double.LineRequest, name)) == _parameters(getattr(gpiod.LineRequest, name))
    for name in ("close", "get_info", "line_offset_from_id", "__init__"):
        assert _parameters(getattr(double.Chip, name)) == _parameters(getattr(gpiod.Chip, name))
    for name in ("Value", "Direction", "Edge", "Bias", "Drive", "Clock"):
        assert {m.name for m in getattr(module.line, name)} == {m.name for m in getattr(gpiod.line, name)}
    assert {m.name for m in double.EdgeEvent.Type} == {m.name for m in gpiod.EdgeEvent.Type}
    assert gpiod.is_gpiochip_device("/dev/null") is module.is_gpiochip_device("/dev/null") is False


def test_the_real_module_accepts_the_drivers_settings() -> None:
    gpiod = pytest.importorskip("gpiod", reason="gpiod comes with the extra 'test'")
    for bias in ("as-is", "pull-up", "pull-down", "disabled"):
        settings = Gpio(Config(line="GPIO17", bias=bias))._settings(gpiod)
        assert settings.edge_detection is gpiod.line.Edge.BOTH
    with pytest.raises(Unavailable) as caught:
        Gpio(Config(line="17", chip="null")).open()  # a device, but no chip
    assert caught.value.reason in {Reason.LOST, Reason.ABSENT}
