from __future__ import annotations

from edged.sensors.drivers import w1


def test_only_a_thermocouple_can_be_hotter_than_125_degrees() -> None:
    ranges = {
        family: w1.Config(id=family and f"{family}-0d0000000001").gives()[""]
        for family in ("28", "10", "3b", None)
    }
    assert {(ranges[family].low, ranges[family].high) for family in ("28", "10")} == {(-55, 125)}
    assert {(ranges[family].low, ranges[family].high) for family in ("3b", None)} == {(-270, 1768)}
