from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sensors import SensorConfig, load, units

ALL = sorted(units._BY_UNIT)


@pytest.mark.parametrize(
    ("value", "given", "wanted", "expected"),
    [
        (21.5, "°C", "°F", 70.7),
        (-40, "°F", "°C", -40),
        (0, "°C", "K", 273.15),
        (300, "K", "°F", 80.33),
        (1013.25, "hPa", "inHg", 29.921),
        (760, "mmHg", "hPa", 1013.25),
        (1013.25, "hPa", "mbar", 1013.25),
        (2.2, "bar", "psi", 31.908),
        (10, "m/s", "km/h", 36),
        (1.5, "m", "cm", 150),
        (1, "lb", "g", 453.592),
        (500, "ppb", "ppm", 0.5),
        (3, "kWh", "MJ", 10.8),
    ],
)
def test_a_value_is_converted(value: float, given: str, wanted: str, expected: float) -> None:
    found = units.conversion(given, wanted)
    assert found is not None
    assert value * found[0] + found[1] == pytest.approx(expected, rel=1e-4)


@given(st.sampled_from(ALL), st.sampled_from(ALL), st.floats(-1e6, 1e6))
def test_there_and_back_is_the_same_value(a: str, b: str, value: float) -> None:
    there, back = units.conversion(a, b), units.conversion(b, a)
    assert (there is None) == (back is None) == (units._BY_UNIT[a] != units._BY_UNIT[b])
    if there and back:
        assert (value * there[0] + there[1]) * back[0] + back[1] == pytest.approx(value, rel=1e-9, abs=1e-6)


@given(st.sampled_from(ALL))
def test_the_same_unit_changes_nothing(unit: str) -> None:
    assert units.conversion(unit, unit) == (1.0, 0.0)


@pytest.mark.parametrize(
    ("value", "tidy"),
    [(70.69999999999999, 70.7), (180.20000000000002, 180.2), (1.5e-12, 1.5e-12), (1e300, 1e300)],
)
def test_what_binary_fractions_add_is_left_out(value: float, tidy: float) -> None:
    assert units.tidy(value) == tidy
    assert math.isnan(units.tidy(math.nan))
    assert units.tidy(-math.inf) == -math.inf


def config(kind: str, **keys: Any) -> SensorConfig:
    made: SensorConfig = load(kind).Config(**{"device": "bmp280", **keys})
    return made


@pytest.mark.parametrize("calibration", [{}, {"offset": -0.5}, {"scale": 2}])
def test_scale_and_offset_come_after_the_conversion(calibration: dict[str, Any]) -> None:
    factor, offset = config("iio", unit="°F", **calibration).conversion("")
    assert (factor, offset) == pytest.approx((1.8, 32))


@pytest.mark.parametrize(
    ("keys", "channel"),
    [
        ({"unit": "°F", "scale": 1.8, "offset": 32}, "temp"),
        ({"unit": "°F", "scale": 1.8, "offset": 31.2}, "temp"),
        ({"unit": "K", "offset": 273.15}, "temp"),
        ({"unit": "inHg", "scale": 0.0295}, "pressure"),
        ({"unit": "%", "scale": 100}, "voltage0"),
        ({"unit": "slugs"}, "pressure"),
    ],
    ids=str,
)
def test_a_conversion_by_hand_and_a_free_name_are_left_alone(keys: dict[str, Any], channel: str) -> None:
    assert config("iio", channel=channel, **keys).conversion("") == (1.0, 0.0)


@pytest.mark.parametrize(
    ("unit", "channel", "says"),
    [
        ("°F", "humidityrelative", r"gives % \(relative humidity\), which cannot be converted to °F"),
        ("°C", "pressure", r"gives hPa \(pressure\), which cannot be converted to °C"),
        ("F", "temp", "write °F"),
        ("degC", "temp", "write °C, or leave it out"),
        ("lux", "illuminance", "write lx"),
        ("ug/m3", "massconcentration_pm2p5", "write µg/m³"),
    ],
)
def test_what_cannot_be_converted_is_refused(unit: str, channel: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        config("iio", channel=channel, unit=unit)


def test_each_channel_has_its_own_unit() -> None:
    registers = {"t": {"unit": "°C"}, "h": {"unit": "%"}}
    made = load("i2c").Config(address="0x44", registers=registers, channels={"t": {"unit": "°F"}})
    assert made.conversion("t") == pytest.approx((1.8, 32))
    assert made.conversion("h") == (1.0, 0.0)
    with pytest.raises(ValueError, match=r"channel h; units of one channel go below channels"):
        load("i2c").Config(address="0x44", registers=registers, unit="°F")
