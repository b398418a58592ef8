from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.config.gating import GateSection, TriggerSection
from edged.ipc import readings_page
from edged.ipc.readings_page import Reader, Writer
from edged.worker.gating import GateNews, Pause, PipelineGate, Verdict

NOON = 1_800_000_000.0


class World:
    """A readings page and a clock."""

    def __init__(self, *, gate: dict[str, Any] | None = None, trigger: dict[str, Any] | None = None) -> None:
        descriptor = readings_page.create()
        self.writer = Writer(descriptor, ["lux", "pir"])
        self.now, self.wall = 100.0, NOON
        self.watch = PipelineGate(
            GateSection.model_validate(gate) if gate is not None else None,
            TriggerSection.model_validate(trigger) if trigger is not None else None,
            Reader(descriptor),
            wall=lambda: self.wall,
            localtime=time.gmtime,
        )

    def put(self, name: str, value: float | bool | None, *, good: bool = True) -> None:
        self.writer.put(
            name, "", value, quality="good" if good else "suspect", ts=self.wall, at=self.now, fresh_s=30.0
        )

    def look(self, step_s: float = 0.02) -> Verdict:
        self.now += step_s
        self.wall += step_s
        return self.watch.look(self.now)

    def goes(self, count: int = 6, step_s: float = 0.02) -> int:
        return sum(self.look(step_s).go for _ in range(count))


LIGHT = {"conditions": [{"sensor": "lux", "above": 20}]}
MOTION = {"conditions": [{"sensor": "pir", "equals": "true"}]}


def test_a_gate_opens_and_closes_with_the_reading() -> None:
    world = World(gate=LIGHT)
    assert world.look() == Verdict(False, "lux is unknown")
    world.put("lux", 10.0)
    assert world.look() == Verdict(False, "the condition on lux does not hold")
    world.put("lux", 30.0)
    assert world.look() == Verdict(True, "")
    assert world.look() == Verdict(True, "")
    world.put("lux", 99.0, good=False)
    assert world.look().go, "what is not good changes nothing"
    assert world.look(31) == Verdict(False, "lux is unknown"), "and is not known for ever"


def test_while_a_reading_is_not_known_a_gate_may_stay_open() -> None:
    assert World(gate={**LIGHT, "if_unknown": "run"}).look().go


def test_hours_by_the_local_clock() -> None:
    world = World(gate={"hours": ["08:00-09:30"]})  # it is 08:00 UTC
    assert world.look().go
    assert world.look(3 * 3600) == Verdict(False, "outside its hours")
    world.wall = 1000.0
    assert world.look() == Verdict(False, "the time is unknown")


def test_a_trigger_lets_so_many_frames_through() -> None:
    world = World(trigger={**MOTION, "frames": 3})
    world.put("pir", False)
    assert world.goes() == 0
    world.put("pir", True)
    assert world.look().go, "at the first look"
    assert world.goes() == 2
    world.put("pir", True)
    assert world.goes() == 0


def test_a_pulse_between_two_looks_fires() -> None:
    world = World(trigger=MOTION)
    world.put("pir", False)
    world.goes()
    world.put("pir", True)
    world.put("pir", False)
    assert world.goes() == 1
    world.put("pir", True)
    world.goes()
    world.put("pir", False)
    world.put("pir", True)
    assert world.goes() == 1


def test_a_sensor_worker_that_begins_anew_is_no_event() -> None:
    world = World(trigger=MOTION)
    for value in (False, True, False, True, False):
        world.put("pir", value)
    world.goes()
    world.writer._counts["pir"] = world.writer._rises["pir"] = 0
    world.put("pir", False)
    assert world.goes() == 0


def test_what_was_on_already_is_no_event() -> None:
    world = World(trigger=MOTION)
    world.put("pir", True)
    assert world.goes() == 0


def test_what_fires_behind_a_closed_gate_is_not_made_up_for() -> None:
    world = World(gate=LIGHT, trigger=MOTION)
    world.put("lux", 10.0)
    world.put("pir", False)
    world.goes()
    world.put("pir", True)
    assert world.goes() == 0
    world.put("lux", 30.0)
    assert world.goes() == 0
    world.put("pir", False)
    world.goes()
    world.put("pir", True)
    assert world.goes() == 1


def test_a_schedule_needs_no_sensor() -> None:
    assert World(trigger={"every_s": 10, "frames": 2}).goes(100, 1.0) == 18
    assert World(trigger={"at": ["08:02"]}).goes(300, 1.0) == 1


@given(st.lists(st.sampled_from(["on", "off", "look"]), max_size=60), st.integers(1, 3))
def test_no_more_frames_than_fires_allow(steps: list[str], frames: int) -> None:
    world = World(trigger={**MOTION, "frames": frames})
    world.put("pir", False)
    world.goes()
    rises, goes, before = 0, 0, False
    for step in steps:
        if step == "look":
            goes += world.look().go
        else:
            rises += step == "on" and not before
            before = step == "on"
            world.put("pir", before)
    goes += world.goes(2 * frames + 2)
    assert goes <= rises * frames
    assert (goes > 0) == (rises > 0)


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ({"sensor": "lux"}, "write above, below or equals"),
        ({"sensor": "lux", "above": 5, "below": 5}, "no value is both above 5 and below 5"),
        ({"sensor": "lux", "equals": "maybe"}, "true, false or a number"),
        ({"sensor": "Lux", "above": 1}, "sensor"),
    ],
)
def test_conditions_that_ask_nothing_are_refused(condition: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        GateSection.model_validate({"conditions": [condition]})


@pytest.mark.parametrize(
    ("written", "wanted"), [("true", True), ("ON", True), ("no", False), ("3", 3.0), ("-1.5", -1.5)]
)
def test_what_is_asked_for_is_a_state_or_a_number(written: str, wanted: float | bool) -> None:
    section = TriggerSection.model_validate({"conditions": [{"sensor": "a/b", "equals": written}]})
    rule = section.conditions[0].rule()
    assert rule.equals == wanted
    assert type(rule.equals) is type(wanted)


def test_readings_go_with_a_frame_with_their_age() -> None:
    world = World(gate=LIGHT)
    world.watch = PipelineGate(None, None, world.watch._reader, attach=["lux", "pir"])
    assert world.watch.look(world.now) == Verdict(True, "")
    assert world.watch.attached(world.now) == ()
    world.put("lux", 30.0)
    world.put("pir", True, good=False)
    lux, pir = world.watch.attached(world.now + 2)
    assert (lux.name, lux.value, lux.quality, lux.age_s) == ("lux", 30.0, "good", pytest.approx(2))
    assert (pir.value, pir.quality) == (True, "suspect")
    old, _ = world.watch.attached(world.now + 31)
    assert old.quality == "stale"


def test_each_change_is_told_once_and_only_a_gate_that_closes_pauses() -> None:
    told: list[str | Pause] = []
    gate_news = GateNews(told.append, told.append)
    for by in ("", "", "not armed", "not armed", "lux is unknown", ""):
        gate_news.tell(by)
    assert told == ["", "not armed", Pause(), "lux is unknown", Pause(), ""]


def test_after_the_source_was_away_the_same_is_news() -> None:
    told: list[str | Pause] = []
    gate_news = GateNews(told.append, lambda _pause: None)
    gate_news.tell("not armed")
    gate_news.forget()
    assert gate_news.told is None
    gate_news.tell("not armed")
    assert told == ["not armed", "not armed"]
