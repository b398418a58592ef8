from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.daemon.sensor_publisher import line_of, message_of, topic_of
from edged.sensors import Quality, Reading
from edged.sensors.drivers.synthetic import Config
from edged.sensors.drivers.system import Config as System
from edged.worker.sensor_shaping import Channel

GOOD = Reading("", 21.5, "°C", 1785499200.25)


def test_topics() -> None:
    assert topic_of("attic", "") == "attic/state"
    assert topic_of("air", "pm2_5") == "air/pm2_5/state"


def test_json_says_what_it_is_worth() -> None:
    assert json.loads(message_of(Config(), GOOD) or b"") == {
        "v": 1,
        "value": 21.5,
        "unit": "°C",
        "ts": "2026-07-31T12:00:00.250Z",
        "quality": "good",
    }
    bad = Reading("", None, "°C", 0.0, Quality.BAD, "the checksum is wrong")
    said = json.loads(message_of(Config(), bad) or b"")
    assert (said["value"], said["quality"], said["reason"]) == (None, "bad", "the checksum is wrong")


@pytest.mark.parametrize(
    ("value", "sent"),
    [(21.5, b"21.5"), (21.0, b"21"), (-0.0, b"0"), (1e300, b"1e+300"), (True, b"ON"), (False, b"OFF")],
)
def test_bare_is_the_value_alone(value: float | bool, sent: bytes) -> None:
    assert message_of(Config(publish="bare"), Reading("", value, "", 0.0)) == sent


def test_bare_says_nothing_of_what_is_not_good_and_none_nothing_at_all() -> None:
    for quality in (Quality.BAD, Quality.STALE, Quality.SUSPECT):
        assert message_of(Config(publish="bare"), Reading("", 1.0, "", 0.0, quality, "x")) is None
    assert message_of(Config(publish="none"), GOOD) is None


def test_a_line_says_whose_reading_it_is() -> None:
    attic = json.loads(line_of("n", "attic", Config(), GOOD) or b"")
    plain = json.loads(message_of(Config(), GOOD) or b"")
    assert attic == {**plain, "type": "reading", "node": "n", "sensor": "attic"}
    air = Reading("load", 1.0, "", 0.0)
    for publish in ("json", "bare"):
        line = line_of("n", "board", System(what=["load"], publish=publish), air)
        assert json.loads(line or b"")["channel"] == "load"
    assert line_of("n", "attic", Config(publish="none"), GOOD) is None


def test_a_channel_may_differ() -> None:
    config = System(what=["load", "disk"], publish="none", channels={"disk": {"publish": "bare"}})
    assert message_of(config, Reading("load", 1.0, "", 0.0)) is None
    assert message_of(config, Reading("disk", 50.0, "%", 0.0)) == b"50"


@given(st.one_of(st.none(), st.floats()), st.floats(allow_nan=False, allow_infinity=False))
def test_what_leaves_is_always_json_that_others_read(value: float | None, scale: float) -> None:
    config = Config(scale=scale, round=3)
    for reading in [Channel(config, "").take(Reading("", value, "", 0.0), 0).published]:
        assert reading is not None
        message = message_of(config, reading)
        assert message is not None
        assert len(message) < 512
        number = json.loads(message, parse_constant=pytest.fail)["value"]
        assert number is None or math.isfinite(number)
