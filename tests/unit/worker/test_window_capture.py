"""The capture of windows that the source of kind sensors cuts, through one clock that the test moves."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.config.gating import GateSection, TriggerSection
from edged.ipc import readings_page, worker_messages
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.readings_page import Reader, Writer
from edged.ipc.readings_ring import DEPTH
from edged.sources import Hint
from edged.sources.drivers.sensors import Config, SensorWindows
from edged.system import clock
from edged.worker import capture
from edged.worker.capture import Capture, Item
from edged.worker.gating import POLL_S, Pause, PipelineGate
from edged.worker.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP_S = 0.01
NOW = [100.0]


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The capture waits for nothing, and its time is the test's."""
    monkeypatch.setattr(capture, "POLL_S", 0.0)
    monkeypatch.setattr(clock, "monotonic", lambda: NOW[0])
    NOW[0] = 100.0
    return


class World:
    """A readings page with two channels at 100 Hz, and what is captured of them."""

    def __init__(self, *, gate: Any = None, trigger: Any = None, **source: Any) -> None:
        self.descriptor = readings_page.create()
        self.writer = Writer(self.descriptor, ["lux", "pir"], ["v/x", "v/y"])
        keys = {"channels": ["v/x", "v/y"], "step_s": STEP_S, "window": 10, "hop": 5, **source}
        self.number = 0
        self.taken: Item | None = None
        self.items: list[Item | Pause | None] = []
        self.faults: list[Any] = []
        self.held: list[str] = []
        self.throughput = Throughput()
        reader = Reader(self.descriptor)
        watch = None
        if gate or trigger:
            watch = PipelineGate(
                GateSection.model_validate(gate) if gate else None,
                TriggerSection.model_validate(trigger) if trigger else None,
                reader,
                attach=["lux"],
            )
        self.heartbeat = Heartbeat.create()
        hint = Hint(patience_s=5.0, readings=reader)
        self.source = SensorWindows(Config.model_validate(keys), hint, monotonic=lambda: NOW[0])
        self.capture = Capture(
            "pump",
            lambda: self.source,
            lambda window: window.values.reshape(1, 10, 2),
            feed=True,
            patience_s=5.0,
            beat=self.heartbeat.capture(0),
            deliver=self.items.append,
            report=self.faults.append,
            throughput=self.throughput,
            watch=watch,
            held=self.held.append,
        )
        self.source.open()
        self.capture.begin(self.source)

    @property
    def now(self) -> float:
        return NOW[0]

    @now.setter
    def now(self, now: float) -> None:
        NOW[0] = now

    def put(self, name: str, value: float | bool, at: float | None = None) -> None:
        at = self.now if at is None else at
        self.writer.put(name, "", value, quality="good", ts=at, at=at, fresh_s=30.0)

    def read(self, count: int = 1) -> None:
        """Both channels are read so often."""
        for _ in range(count):
            self.now += STEP_S
            self.number += 1
            self.put("v/x", float(self.number))
            self.put("v/y", -float(self.number))

    def live(self, seconds: float, *, takes: bool = True) -> list[Item]:
        """Readings come and are looked at as they are in life; return the windows that were handed on."""
        before = len(self.items)
        for _ in range(round(seconds / POLL_S)):
            self.read(2)
            self.look(takes=takes)
        return [item for item in self.items[before:] if isinstance(item, Item)]

    def look(self, *, takes: bool = True) -> None:
        self.capture.step(self.source)
        if takes and self.items and isinstance(self.items[-1], Item) and self.items[-1] is not self.taken:
            self.taken = self.items[-1]
            self.capture.taken()


def firsts(items: list[Item]) -> list[int]:
    return [round(float(item.tensor[0, 0, 0])) for item in items]


def test_readings_become_windows_and_none_is_missed() -> None:
    world = World()
    items = world.live(1.0)
    assert firsts(items) == list(range(1, 92, 5))[: len(items)]
    assert len(items) == 19
    for item in items:
        assert item.tensor == pytest.approx(
            np.stack([np.arange(10), -np.arange(10)], 1)[None] + item.tensor[0, 0], abs=1e-3
        )
        assert abs(time.time() - item.captured_at) < 10
        assert item.number is None
    assert not world.throughput.dropped
    assert world.held == [""], "said once: it is in order"


def test_windows_that_follow_each_other_go_on_and_all_others_begin() -> None:
    assert {item.begins for item in World(hop=5).live(1.0)} == {True}
    world = World(hop=10)
    assert [item.begins for item in world.live(0.5)] == [True, False, False, False, False]
    world.now += 1.0
    assert [item.begins for item in world.live(0.3)] == [True, False]
    assert world.throughput.dropped["gap"] > 0


def test_a_late_look_misses_nothing_and_a_very_late_one_is_counted() -> None:
    world = World()
    world.live(0.2)
    world.read(50)
    world.look()
    assert "overrun" not in world.throughput.dropped
    world.read(DEPTH + 7)
    world.look()
    assert world.throughput.dropped["overrun"] == 2 * 7


def test_a_model_that_does_not_keep_up_gets_the_newest() -> None:
    world = World()
    world.live(3.0, takes=False)
    assert len(world.items) == 1
    (item,) = world.live(POLL_S)[:1] or world.live(POLL_S)
    assert world.number - firsts([item])[0] < 120, "no older than a second, and its own length"
    assert world.throughput.dropped["skipped"] > 20


def test_a_sensor_that_says_nothing_is_told_once_and_its_return_too() -> None:
    world = World()
    world.live(0.2)
    for _ in range(600):
        world.now += STEP_S
        world.put("v/x", 1.0)
        world.look()
    (fault,) = world.faults
    assert isinstance(fault, worker_messages.Fault)
    assert (fault.kind, fault.reason) == ("source", "timeout")
    assert "v/y has given no good reading for 5 s" in fault.message
    assert world.capture.blind
    assert world.live(0.3)
    assert not world.capture.blind
    assert world.held == ["", ""]


DARK = {"conditions": [{"sensor": "lux", "above": 20}]}


def test_a_gate_holds_it_back_and_a_pause_is_handed_on() -> None:
    world = World(gate=DARK)
    world.put("lux", 30)
    assert len(world.live(0.4)) == 7
    world.put("lux", 10)
    assert world.live(2.0) == []
    assert [type(item) for item in world.items].count(Pause) == 1
    assert isinstance(world.items[-1], Pause)
    assert world.held[-1] == "the condition on lux does not hold"
    at = world.number
    world.put("lux", 30)
    items = world.live(0.4)
    assert world.held[-1] == ""
    assert firsts(items)[0] >= at - 10, "what was over before it opened is not judged"
    assert items[0].readings[0].name == "lux"


def test_a_trigger_gives_the_window_of_the_moment_and_so_many_as_asked_for() -> None:
    motion = {"conditions": [{"sensor": "pir", "equals": "true"}], "frames": 3}
    world = World(trigger=motion)
    world.put("pir", value=False)
    assert world.live(1.0) == []
    at = world.number
    world.put("pir", value=True)
    items = world.live(1.0)
    assert len(items) == 3
    assert at - 20 <= firsts(items)[0] <= at
    assert not world.throughput.dropped["skipped"], "nobody wanted them"


@settings(max_examples=20)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 20))
def test_however_it_is_looked_each_window_is_judged_once_or_counted(looks: list[int], hop: int) -> None:
    world = World(hop=hop)
    for count in looks:
        world.read(count)
        for _ in range(20):  # more than ever wait
            world.look()
    got = firsts([item for item in world.items if isinstance(item, Item)])
    there = [n for n in range(1, sum(looks) + 1, hop) if n + 9 <= sum(looks)]
    assert got == sorted(set(got) & set(there))
    assert got[-1:] == there[-1:]
    assert len(got) + world.throughput.dropped["skipped"] == len(there)


def test_the_thread_lives_by_the_real_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    descriptor = readings_page.create()
    writer = Writer(descriptor, [], ["v/x", "v/y"])
    keys = {"channels": ["v/x", "v/y"], "step_s": STEP_S, "window": 10, "hop": 5, "max_gap_s": 5}
    items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    source = SensorWindows(Config.model_validate(keys), Hint(readings=Reader(descriptor)))
    captured = Capture(
        "pump",
        lambda: source,
        lambda window: window.values.reshape(1, 10, 2),
        feed=True,
        patience_s=5.0,
        beat=Heartbeat.create().capture(0),
        deliver=items.put,
        report=items.put,
        throughput=Throughput(),
    )
    captured.start()
    began = time.monotonic()
    for number in range(20):
        for name in ("v/x", "v/y"):
            at = began - 0.2 + STEP_S * number
            writer.put(name, "", float(number), quality="good", ts=at, at=at, fresh_s=30.0)
    item = items.get(timeout=20)
    assert item.tensor.shape == (1, 10, 2)
    captured.stop()
    captured.join(20)
    assert "capture:pump" not in [thread.name for thread in threading.enumerate()]
