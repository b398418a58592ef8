from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.gating import DAY_MINUTES, Condition, Gate, Hours, Loudness, Rule, Trigger

NUMBERS = st.floats(-1000, 1000)


def held(rule: Rule, *values: float | bool | None, step_s: float = 1.0) -> list[bool | None]:
    condition, said = Condition(rule), []
    for n, value in enumerate(values):
        condition.take(value, value is not None, n * step_s)
        said.append(condition.holds(n * step_s))
    return said


def test_bounds_with_hysteresis() -> None:
    rule = Rule("lux", above=20, below=500, hysteresis=5)
    values = [10, 21, 18, 14.9, 18, 21, 502, 506, 502, 499]
    assert held(rule, *values) == [False, True, True, False, False, True, True, False, False, True]


def test_a_condition_may_equal_a_state_or_a_number() -> None:
    assert held(Rule("door", equals=True), False, True, True, False) == [False, True, True, False]
    assert held(Rule("door", equals=False), False, True) == [True, False]
    assert held(Rule("level", equals=3), 2, 3, 3.5) == [False, True, False]
    assert held(Rule("level", equals=3, hysteresis=1), 3.5, 3, 3.5, 4.5) == [False, True, True, False]
    assert held(Rule("any"), 1, True) == [True, True]


def test_a_reading_that_is_not_good_changes_nothing() -> None:
    assert held(Rule("lux", above=20), None, 30, None, 10) == [None, True, True, False]
    condition = Condition(Rule("lux", above=20))
    condition.take(30, False, 0)
    assert condition.holds(0) is None


def test_a_condition_must_last() -> None:
    assert held(Rule("t", above=5, for_s=2), 6, 6, 6, 4, 6, 6) == [False, False, True, False, False, False]


def test_an_old_reading_is_ignored_and_hysteresis_starts_again() -> None:
    condition = Condition(Rule("lux", above=20, hysteresis=10, max_age_s=60))
    condition.take(21, True, 0)
    assert condition.holds(60) is True
    assert condition.holds(61) is None
    condition.take(15, True, 100)
    assert condition.holds(100) is False


@given(
    st.lists(st.one_of(st.none(), NUMBERS), max_size=50),
    NUMBERS,
    st.floats(0, 100),
    st.sampled_from(["above", "below"]),
)
def test_within_the_band_nothing_changes(
    values: list[float | None], bound: float, hysteresis: float, side: str
) -> None:
    rule = Rule("x", **{side: bound}, hysteresis=hysteresis)  # type: ignore[arg-type]  # one of two keys
    before: bool | None = None
    for value, now in zip(values, held(rule, *values), strict=True):
        if value is None:
            assert now is before
        elif (value > bound) if side == "above" else (value < bound):
            assert now is True
        elif (value <= bound - hysteresis) if side == "above" else (value >= bound + hysteresis):
            assert now is False
        else:
            assert now is bool(before)
        before = now


@pytest.mark.parametrize(
    ("begin", "end", "inside", "outside"),
    [
        (420, 1320, [420, 800, 1319], [0, 419, 1320, 1439]),
        (1320, 360, [1320, 1439, 0, 359], [360, 720, 1319]),
        (300, 300, [0, 299, 300, 1439], []),
    ],
)
def test_hours_may_cross_midnight(begin: int, end: int, inside: list[int], outside: list[int]) -> None:
    hours = Hours(begin, end)
    assert all(hours.has(minute) for minute in inside)
    assert not any(hours.has(minute) for minute in outside)


@given(st.integers(0, DAY_MINUTES - 1), st.integers(0, DAY_MINUTES - 1))
def test_hours_and_their_complement_cover_the_day(begin: int, end: int) -> None:
    minutes = range(DAY_MINUTES)
    there = sum(Hours(begin, end).has(minute) for minute in minutes)
    assert there == ((end - begin) % DAY_MINUTES or DAY_MINUTES)
    if begin != end:
        assert all(Hours(begin, end).has(m) != Hours(end, begin).has(m) for m in minutes)


def test_a_gate_names_what_closes_it() -> None:
    gate = Gate([Rule("lux", above=20), Rule("door", equals=False)], hours=[Hours(420, 1320)], armed=True)
    assert gate.closed_by(0, 800) == "not armed"
    gate.arm(True)
    assert gate.closed_by(0, None) == "the time is unknown"
    assert gate.closed_by(0, 100) == "outside its hours"
    assert gate.closed_by(0, 800) == "lux is unknown"
    gate.take("lux", 10.0, True, 1)
    gate.take("door", False, True, 1)
    assert gate.closed_by(1, 800) == "the condition on lux does not hold"
    gate.take("lux", 30.0, True, 2)
    assert gate.closed_by(2, 800) == ""
    gate.take("another", 0.0, True, 2)
    gate.arm(False)
    assert gate.closed_by(2, 800) == "not armed"


def test_a_gate_without_conditions_is_open() -> None:
    assert Gate().closed_by(0, None) == ""


def test_a_gate_may_stay_open_while_a_condition_is_unknown() -> None:
    gate = Gate([Rule("lux", above=20, max_age_s=10)], hours=[Hours(0, 60)], if_unknown=True)
    assert gate.closed_by(0, None) == ""
    assert gate.closed_by(0, 100) == "outside its hours"
    gate.take("lux", 5.0, True, 0)
    assert gate.closed_by(5, 30) == "the condition on lux does not hold"
    assert gate.closed_by(15, 30) == ""


def fired(trigger: Trigger, *values: float | bool | None, step_s: float = 1.0) -> list[int]:
    return [n for n, value in enumerate(values) if trigger.take("pir", value, value is not None, n * step_s)]


def test_a_trigger_fires_only_on_an_observed_change() -> None:
    assert fired(Trigger([Rule("pir", equals=True)]), True, True, False, True, True, None, False, True) == [
        3,
        7,
    ]


def test_a_short_pulse_is_not_missed() -> None:
    trigger = Trigger([Rule("pir", equals=True)])
    assert [trigger.take("pir", value, True, 5.0) for value in (False, True, False)] == [False, True, False]


def test_a_sensor_that_comes_back_does_not_fire() -> None:
    trigger = Trigger([Rule("pir", above=10, max_age_s=5)])
    assert not trigger.take("pir", 0.0, True, 0)
    assert not trigger.poll(10, None)
    assert not trigger.take("pir", 20.0, True, 20)


def test_one_of_several_is_enough_and_the_cooldown_holds_for_all() -> None:
    trigger = Trigger([Rule("pir", equals=True), Rule("t", above=30)], cooldown_s=10)
    for sensor, value in (("pir", False), ("t", 20.0)):
        assert not trigger.take(sensor, value, True, 0)
    assert trigger.take("t", 31.0, True, 1)
    assert not trigger.take("pir", True, True, 5)
    assert not trigger.take("pir", False, True, 12)
    assert trigger.take("pir", True, True, 13)


def test_a_rule_with_a_duration_fires_after_it() -> None:
    trigger = Trigger([Rule("pir", above=1, for_s=5)])
    assert fired(trigger, 0.0, 2.0) == []
    assert not trigger.poll(5.9, None)
    assert trigger.poll(6, None)
    assert not trigger.poll(7, None)


def test_a_command_starts_the_cooldown() -> None:
    trigger = Trigger(every_s=50, cooldown_s=100)
    assert not trigger.poll(0, None)
    trigger.command(1)
    assert [now for now in (50, 100, 101, 150) if trigger.poll(now, None)] == [150]


def test_a_schedule_keeps_its_grid_and_fires_once_after_a_gap() -> None:
    trigger = Trigger(every_s=60)
    times = [0, 59, 60, 61, 121, 400, 401, 420]
    assert [now for now in times if trigger.poll(now, None)] == [60, 121, 400, 420]


def test_a_time_of_the_day_fires_once_however_the_clock_is_set() -> None:
    trigger = Trigger(at=[420, 1200])
    minutes = [
        (0, None),
        (10, 419),
        (70, 420),
        (100, 420),
        (200, 419),
        (300, 420),
        (4000, 1200),
        (86500, 420),
    ]
    assert [now for now, minute in minutes if trigger.poll(now, minute)] == [70, 4000, 86500]


@given(
    st.lists(st.tuples(st.floats(0.01, 100), st.one_of(st.none(), st.booleans())), max_size=60),
    st.floats(0, 50),
)
def test_a_trigger_keeps_its_cooldown(steps: list[Any], cooldown_s: float) -> None:
    trigger, now, last, rises, fires = (
        Trigger([Rule("pir", equals=True)], cooldown_s=cooldown_s),
        0.0,
        -math.inf,
        0,
        0,
    )
    before: bool | None = None
    for step, value in steps:
        now += step
        rises += before is False and value is True
        before = value if value is not None else before
        if trigger.take("pir", value, value is not None, now):
            assert now - last >= cooldown_s
            last = now
            fires += 1
    assert fires <= rises
    if cooldown_s == 0:
        assert fires == rises


def test_sound_passes_while_it_is_loud_and_a_little_longer() -> None:
    loudness = Loudness(-40, 1.0)
    levels = [-60, -39, -60, -60, -60, -60]
    assert [loudness.passes(level, 0.5 * at) for at, level in enumerate(levels)] == [
        False, True, True, True, False, False,
    ]  # fmt: skip
    assert loudness.passes(-20, 5.0)
    assert not loudness.passes(-60, 0.0), "the source was opened again: it was quiet since"
