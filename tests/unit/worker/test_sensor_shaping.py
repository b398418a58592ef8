from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.sensors import Quality, Reading
from edged.sensors.drivers.command import Config as Command
from edged.sensors.drivers.hwmon import Config as Chip
from edged.sensors.drivers.iio import Config as Barometer
from edged.sensors.drivers.synthetic import Config as Synthetic
from edged.sensors.drivers.thermal import Config as Zone
from edged.sensors.drivers.w1 import Config as Thermometer
from edged.worker.sensor_shaping import EDGES, EDGES_PER_S, Channel, Shaped

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
VALUES = st.one_of(st.none(), NUMBERS)
TEMPERATURES = st.floats(-50, 50)


def channel(**keys: Any) -> Channel:
    return Channel(Synthetic(**keys), "")


def reading(value: float | bool | None, ts: float = 0.0, **keys: Any) -> Reading:
    return Reading("", value, "", ts, **keys)


def take(shaping: Channel, *values: float | bool | None, step_s: float = 1.0) -> list[Shaped]:
    return [shaping.take(reading(value, n * step_s), n * step_s) for n, value in enumerate(values)]


def published(shaping: Channel, *values: float | bool | None, step_s: float = 1.0) -> list[Any]:
    return [s.published.value for s in take(shaping, *values, step_s=step_s) if s.published is not None]


@pytest.mark.parametrize(
    ("config", "value"),
    [
        (Barometer(device="bme280", channel="temp"), -144.7),
        (Barometer(device="bme280", channel="pressure"), 57733.13),
        (Barometer(device="dht11@4", channel="humidityrelative"), 3304.3),
        (Barometer(device="unknown", channel="humidityrelative"), -20),
        (Chip(chip="sht3x", channel="humidity1"), 3304.3),
        (Zone(), -650788.984),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else str(value),
)
def test_what_a_chip_cannot_measure_is_bad(config: Any, value: float) -> None:
    (shaped,) = [Channel(config, "").take(reading(value), 0)]
    assert shaped.published is not None
    assert (shaped.published.value, shaped.published.quality) == (None, "bad")
    assert shaped.published.reason.endswith("the sensor cannot measure that")


@pytest.mark.parametrize(
    ("config", "value"),
    [
        (Barometer(device="bme280", channel="temp"), -39.5),
        (Barometer(device="htu21", channel="humidityrelative"), 101.2),
        (Barometer(device="max31855", channel="temp"), 850),
        (Zone(), 105),
    ],
    ids=lambda value: value.kind if hasattr(value, "kind") else str(value),
)
def test_what_it_can_measure_is_good(config: Any, value: float) -> None:
    (shaped,) = [Channel(config, "").take(reading(value), 0)]
    assert shaped.published is not None
    assert (shaped.published.value, shaped.published.quality) == (value, "good")


def test_readings_are_converted_to_the_configured_unit_before_they_are_judged() -> None:
    barometer = Barometer(device="bmp280", channel="pressure", unit="inHg", min=29, round=2)
    (shaped,) = [Channel(barometer, "").take(reading(1013.25), 0)]
    assert shaped.published is not None
    assert (shaped.published.value, shaped.published.unit, shaped.published.quality) == (
        29.92,
        "inHg",
        "good",
    )
    assert shaped.seen.value == pytest.approx(29.921, abs=0.001)


def test_scale_then_offset() -> None:
    (shaped,) = take(channel(scale=1.8, offset=32, unit="°F"), 20)
    assert shaped.seen == shaped.published == Reading("", 68.0, "°F", 0.0)


@pytest.mark.parametrize(
    ("value", "quality", "reason"),
    [
        (21.0, "good", ""),
        (-41.0, "suspect", "below -40"),
        (85.1, "suspect", "above 85"),
        (math.nan, "bad", "not a number"),
        (math.inf, "bad", "not a number"),
        (None, "bad", "no measurement"),
    ],
)
def test_judgement(value: float | None, quality: str, reason: str) -> None:
    (shaped,) = take(channel(min=-40, max=85), value)
    assert (shaped.seen.quality, shaped.seen.reason) == (quality, reason)
    assert (shaped.seen.value is None) == (quality == "bad")


def test_what_the_hardware_cannot_measure_is_bad() -> None:
    (shaped,) = [Channel(Thermometer(id="28-0316a2795bff"), "").take(reading(127.9), 0)]
    assert shaped.seen.quality is Quality.BAD
    assert shaped.seen.reason == "127.9 is above 125: the sensor cannot measure that"


def test_a_drivers_verdict_stands() -> None:
    shaping = channel()
    shaped = shaping.take(reading(21.0, quality=Quality.BAD, reason="the checksum is wrong"), 0)
    assert (shaped.seen.value, shaped.seen.reason) == (None, "the checksum is wrong")


def test_the_same_value_again_and_again_is_suspect_until_it_moves() -> None:
    said = [s.seen.quality.value for s in take(channel(stuck_after=3), 1, 1, 1, 1, 2, 2, 1)]
    assert said == ["good", "good", "suspect", "suspect", "good", "good", "good"]


def test_a_deadband_lets_through_what_is_a_change() -> None:
    assert published(channel(deadband=0.2), 20.1, 20.2, 20.3, 20.3, 20.11, 20.09) == [20.1, 20.3, 20.09]


def test_slow_drift_is_not_lost_in_the_deadband() -> None:
    sent = published(channel(deadband=0.5), *[20 + n / 10 for n in range(31)])
    assert sent == pytest.approx([20 + n / 2 for n in range(7)])


def test_without_a_deadband_each_reading_goes_out() -> None:
    assert published(channel(), 1, 1, 1) == [1, 1, 1]


def test_without_a_deadband_what_stays_bad_goes_out_too() -> None:
    assert published(channel(), None, None, None) == [None] * 3, "Home Assistant forgets what is not repeated"
    assert published(channel(deadband=1), None, None, None) == [None]


def test_a_heartbeat_repeats_what_does_not_change() -> None:
    shaping = channel(deadband=1, heartbeat_s=3)
    times = [s.seen.ts for s in take(shaping, *[5.0] * 9) if s.published is not None]
    assert times == [0, 3, 6]


def test_a_change_of_quality_is_news() -> None:
    shaping = channel(deadband=10, max=30)
    said = [
        s.published.quality.value for s in take(shaping, 29, 30.5, 30.6, 29, None, None, 29) if s.published
    ]
    assert said == ["good", "suspect", "good", "bad", "good"]


def test_rounding_is_what_people_see_and_what_is_compared() -> None:
    assert published(channel(round=1, deadband=0.1), 20.04, 20.06, 20.14, 20.16) == [20.0, 20.1, 20.2]
    assert str(published(channel(round=0), -0.2)[0]) == "0.0"
    assert take(channel(round=1), 20.04)[0].seen.value == 20.04


@pytest.mark.parametrize(("how", "value"), [("mean", 2.5), ("min", 1.0), ("max", 4.0), ("last", 4.0)])
def test_a_window_makes_one_of_several(how: str, value: float) -> None:
    shaping = channel(aggregate={"window_s": 3, "how": how})
    shaped = take(shaping, 1, 2, 3, 4, 10, 10, 10)
    assert [s.seen.value for s in shaped] == [1, 2, 3, 4, 10, 10, 10], "triggers see each"
    assert [(s.seen.ts, s.published.value) for s in shaped if s.published is not None] == [
        (3, value),
        (6, 10),
    ]


def test_a_window_counts_what_is_good_and_says_so_where_nothing_was() -> None:
    shaping = channel(aggregate={"window_s": 3}, max=50)
    out = [s.published for s in take(shaping, 10, None, 99, 20, None, 98, None) if s.published is not None]
    assert [(r.value, r.quality) for r in out] == [(15.0, "good"), (None, "bad")]


def test_silence_is_stale_once_and_a_reading_ends_it() -> None:
    shaping = channel(stale_after_s=10, deadband=5, round=0)
    assert shaping.tick(100) is None, "nothing was read yet"
    shaping.take(reading(20.4, 5.0), 5)
    assert shaping.tick(14.9) is None
    stale = shaping.tick(15)
    assert stale == Reading("", 20.0, "", 5.0, Quality.STALE, "no reading for 10 s")
    assert shaping.tick(24) is None
    assert shaping.take(reading(20.4, 31.0), 31).published is not None


def test_silence_that_lasts_is_bad_once() -> None:
    shaping = channel(stale_after_s=10)
    shaping.take(reading(20.4, 5.0), 5)
    assert shaping.tick(15) is not None
    assert shaping.tick(24.9) is None
    assert shaping.tick(25) == Reading("", None, "", 5.0, Quality.BAD, "no reading for 20 s")
    assert shaping.tick(100) is None
    assert shaping.take(reading(20.5, 101), 101).published is not None
    assert shaping.tick(111) is not None, "and again"


def test_an_open_device_that_never_gave_a_reading_is_bad() -> None:
    shaping = channel(stale_after_s=10)
    shaping.opened(100, 5.0)
    shaping.opened(105, 9.0)  # again, after a fault
    assert shaping.tick(109.9) is None
    assert shaping.tick(110) == Reading("", None, "", 5.0, Quality.BAD, "no reading for 10 s")
    assert shaping.tick(200) is None


def test_the_last_good_reading_stands_for_a_while() -> None:
    shaping = channel(hold_s=3, stale_after_s=2)
    shaped = take(shaping, 20.0, None, None, None, 21.0, None, math.nan)
    assert [s.published and (s.published.value, s.published.quality.value) for s in shaped] == [
        (20.0, "good"),
        None,
        None,
        (None, "bad"),
        (21.0, "good"),
        None,
        None,
    ]
    assert [s.seen is None for s in shaped] == [False, True, True, False, False, True, True]
    assert shaping.tick(6.9) is None, "what is held is not stale"
    stale = shaping.tick(7.0)
    assert stale is not None
    assert (stale.value, stale.quality) == (21.0, "stale")


def test_nothing_is_held_before_the_first_good_reading() -> None:
    assert [s.published is None for s in take(channel(hold_s=60), None, None)] == [False, False]


def test_stale_after_three_intervals_where_nothing_is_written() -> None:
    assert Synthetic(interval_s=10, deadline_s=5).stale_s == 35
    assert Synthetic(interval_s=10, stale_after_s=12).stale_s == 12


def test_a_state_is_sent_when_it_changes() -> None:
    shaping = channel(binary=True, heartbeat_s=100, scale=5, max=0)
    assert published(shaping, False, False, True, True, False) == [False, True, False]


def test_channels_differ_where_they_say_so() -> None:
    config = Command(
        command=["x"],
        round=0,
        values={"t": {"unit": "K"}, "h": {"unit": "%"}},
        channels={"t": {"offset": -273.15, "unit": "°C", "round": 1, "publish": "none"}},
    )
    shaped = [Channel(config, name).take(Reading(name, 293.15, "", 0.0), 0).published for name in ("t", "h")]
    assert [(r.value, r.unit) for r in shaped if r is not None] == [(20.0, "°C"), (293.0, "%")]
    assert (config.shaping("t", "publish"), config.shaping("h", "publish")) == ("none", "json")


@given(
    st.lists(VALUES, max_size=40),
    st.floats(-1e300, 1e300),
    st.floats(-1e300, 1e300),
    st.sampled_from([None, {"window_s": 3, "how": "mean"}, {"window_s": 2, "how": "max"}]),
)
def test_what_is_no_number_is_never_good(values: list[Any], scale: float, offset: float, window: Any) -> None:
    shaping = channel(scale=scale, offset=offset, aggregate=window, round=2, min=-1e6, max=1e6)
    for shaped in take(shaping, *values):
        for one in (shaped.seen, shaped.published):
            if one is None:
                continue
            assert one.value is None or math.isfinite(one.value)
            assert (one.value is None) == (one.quality is Quality.BAD)
            assert (one.quality is Quality.GOOD) == (one.reason == "")
            if one.quality is Quality.GOOD:
                assert -1e6 <= float(one.value or 0) <= 1e6


@given(st.lists(TEMPERATURES, min_size=1, max_size=60), st.floats(0.01, 20))
def test_what_was_sent_is_never_further_away_than_the_deadband(values: list[float], deadband: float) -> None:
    shaping = channel(deadband=deadband)
    sent: float | None = None
    for shaped in take(shaping, *values):
        if shaped.published is not None:
            new = float(shaped.published.value or 0)
            assert sent is None or abs(new - sent) >= deadband - 1e-6
            sent = new
        assert sent is not None
        assert abs(float(shaped.seen.value or 0) - sent) <= deadband + 1e-6


@given(
    st.lists(TEMPERATURES, min_size=2, max_size=60),
    st.integers(1, 9),
    st.sampled_from(["mean", "min", "max"]),
)
def test_a_window_stays_within_its_readings(values: list[float], window: int, how: str) -> None:
    shaping = channel(aggregate={"window_s": window, "how": how})
    gathered: list[float] = []
    for shaped in take(shaping, *values):
        gathered.append(float(shaped.seen.value or 0))
        if shaped.published is not None:
            value = float(shaped.published.value or 0)
            assert min(gathered) - 1e-9 <= value <= max(gathered) + 1e-9
            gathered.clear()
        assert len(gathered) <= window + 1


@settings(max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=3000), st.sampled_from([1e-4, 1e-3, 0.05]))
def test_a_flood_of_states_costs_no_more_than_its_allowance(values: list[bool], step_s: float) -> None:
    shaping = channel(binary=True)
    sent = published(shaping, *values, step_s=step_s)
    assert len(sent) <= EDGES + EDGES_PER_S * len(values) * step_s + 1
    end = len(values) * step_s + 1
    shaped = shaping.take(reading(values[-1], end), end)
    last = shaped.published.value if shaped.published is not None else sent[-1]
    assert last is values[-1], "after the flood the state is the right one"


@given(st.lists(st.tuples(st.floats(0, 1000), VALUES), max_size=40))
def test_wall_time_moves_nothing(steps: list[tuple[float, float | None]]) -> None:
    """Steps of the clock change the stamps and nothing else."""
    one, other, now = channel(deadband=1, heartbeat_s=50), channel(deadband=1, heartbeat_s=50), 0.0
    for step, value in steps:
        now += step
        a = one.take(reading(value, now), now)
        b = other.take(reading(value, -now * 1e6), now)
        assert (a.published is None) == (b.published is None)
        assert (one.tick(now + 1) is None) == (other.tick(now + 1) is None)
