from __future__ import annotations

import math
from typing import Any

import pytest

from edged.errors import Reason, Unavailable
from edged.sensors.drivers.synthetic import Config, Synthetic


def opened(**keys: Any) -> Synthetic:
    sensor = Synthetic(Config(**keys))
    sensor.open()
    return sensor


def values(sensor: Synthetic, count: int) -> list[float | bool | None]:
    return [sensor.read()[0].value for _ in range(count)]


@pytest.mark.parametrize(
    ("wave", "expected"),
    [
        ("ramp", [10, 20, 30, 40, 10, 20]),
        ("square", [10, 10, 40, 40, 10, 10]),
        ("sine", [10, 25, 40, 25, 10, 25]),
        ("constant", [10] * 6),
    ],
)
def test_waves(wave: str, expected: list[float]) -> None:
    assert values(opened(wave=wave, low=10, high=40, period=4), 6) == pytest.approx(expected)


def test_axes_are_delayed_parts_of_one_wave() -> None:
    sensor = opened(wave="ramp", low=0, high=3, period=4, axes=["x", "y"])
    assert list(Config(axes=["x", "y"]).gives()) == ["x", "y"]
    for number in range(6):
        assert [(r.channel, r.value) for r in sensor.read()] == [
            ("x", pytest.approx(number % 4)),
            ("y", pytest.approx((number + 2) % 4)),
        ]
    broken = opened(axes=["x", "y"], fault="garbage", fault_after=0)
    assert [r.channel for r in broken.read()] == ["x", "y"]


def test_a_state_follows_the_wave() -> None:
    assert values(opened(wave="square", period=4, binary=True), 5) == [False, False, True, True, False]


def test_edges_come_when_they_are_due() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    sensor = Synthetic(Config(binary=True, edge_s=2), monotonic=lambda: now[0], sleep=sleep)
    sensor.open()
    assert sensor.wait(0.5) == []
    assert [reading.value for reading in sensor.wait(5)] == [True]
    assert sum(slept) == pytest.approx(2)
    assert sensor.read()[0].value is True
    assert [reading.value for reading in sensor.wait(5)] == [False]


def test_faults() -> None:
    with pytest.raises(Unavailable) as caught:
        values(opened(fault="vanish", fault_after=2), 3)
    assert caught.value.reason is Reason.LOST
    bad, nan = (opened(fault="garbage", fault_after=n).read() for n in (0, 1))
    assert bad[0].quality == "bad"
    assert nan[0].quality == "good"
    sensor = opened(fault="garbage", fault_after=1)
    values(sensor, 1)
    assert math.isnan(values(sensor, 1)[0] or 0)
    assert len(set(values(opened(fault="stuck", fault_after=3), 10))) == 4
    flood = opened(fault="flood", fault_after=0, binary=True)
    assert len(flood.wait(1)) == 200
    assert len(flood.wait(1)) == 200
