"""Sensors that run, in real threads over synthetic devices: none waits for another."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import pytest

from edged import sensors
from edged.errors import DriverError, Reason, Unavailable
from edged.sensors import Reading, turns
from edged.sensors.drivers.synthetic import Config
from edged.worker import sensor_runner as runner_module
from edged.worker.sensor_runner import SensorRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.ipc.sensor_messages import SensorState
    from edged.sensors import SensorConfig


class Ear:
    """Hears everything, with the time."""

    def __init__(self) -> None:
        self.readings: list[tuple[float, str, Reading]] = []
        self.sent: list[tuple[float, str, Reading]] = []
        self.states: list[SensorState] = []
        self.inside = threading.Lock()
        self.news = threading.Condition()

    def seen(self, sensor: str, reading: Reading) -> None:
        assert self.inside.acquire(blocking=False), "one call at a time"
        with self.news:
            self.readings.append((time.monotonic(), sensor, reading))
            self.news.notify_all()
        self.inside.release()

    def published(self, sensor: str, reading: Reading) -> None:
        self.sent.append((time.monotonic(), sensor, reading))

    def changed(self, status: SensorState) -> None:
        with self.news:
            self.states.append(status)
            self.news.notify_all()

    def of(self, sensor: str) -> list[float | bool | None]:
        return [reading.value for _, name, reading in self.readings if name == sensor]

    def states_of(self, sensor: str) -> list[str]:
        return [key for key, _ in itertools.groupby(s.state for s in self.states if s.name == sensor)]

    def until(self, what: Callable[[], Any], timeout_s: float = 5) -> None:
        with self.news:
            assert self.news.wait_for(what, timeout_s), (self.states, self.readings[-5:])


class Machine:
    """How late this machine wakes a thread that does nothing, at its worst: other work runs on it as well."""

    def __init__(self) -> None:
        self.late_s = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            self.late_s = max(self.late_s, time.monotonic() - due)
            due = time.monotonic() + 0.01


@pytest.fixture
def machine() -> Iterator[Machine]:
    with Machine() as running:
        yield running


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner_module, "PAUSES_S", (0.02, 0.1))
    monkeypatch.setattr(runner_module, "WATCH_S", 0.02)


@pytest.fixture
def run() -> Iterator[Callable[..., tuple[SensorRunner, Ear]]]:
    runners = []

    def started(**configs: SensorConfig) -> tuple[SensorRunner, Ear]:
        ear = Ear()
        runner = SensorRunner(configs, ear)
        runners.append(runner)
        runner.start()
        return runner, ear

    yield started
    for runner in runners:
        runner.stop(2)


def config(**keys: Any) -> Config:
    return Config(**{"interval_s": 0.02, "deadline_s": 0.2, **keys})


def test_reads_at_its_pace_without_drift(run: Any, machine: Machine) -> None:
    runner, ear = run(a=config(interval_s=0.05, wave="ramp", period=1000, high=999))
    ear.until(lambda: len(ear.readings) == 21)
    times = [at for at, _, _ in ear.readings[:21]]
    assert times[-1] - times[0] == pytest.approx(1.0, abs=0.05 + machine.late_s)
    if machine.late_s < 0.05:  # a slot that is missed is left out, and the wave goes on
        assert ear.of("a")[:21] == pytest.approx(range(21))
    assert ear.states_of("a") == ["running"]
    assert runner.status()["a"].online


def test_a_hung_sensor_moves_no_neighbour(run: Any, machine: Machine) -> None:
    runner, ear = run(
        good=config(interval_s=0.1), hung=config(fault="hang", fault_after=3), other=config(interval_s=0.1)
    )
    ear.until(lambda: "hung" in ear.states_of("hung"))
    began = time.monotonic()
    ear.until(lambda: sum(at > began for at, name, _ in ear.readings if name == "good") >= 15)
    for name in ("good", "other"):
        times = [at for at, sensor, _ in ear.readings if sensor == name]
        gaps = [b - a for a, b in itertools.pairwise(times[1:])]
        assert max(abs(gap - 0.1) for gap in gaps) <= 0.05 + machine.late_s, gaps
    status = runner.status()["hung"]
    assert (status.state, status.online, status.faults) == ("hung", False, 1)
    assert "no answer for 0.2" in status.last_error
    assert len(ear.of("hung")) == 3 + 2, "what was read, that it is stale, and that it is bad now"
    assert runner.stop(0.5) == ["hung"], "its thread stays behind, and is named"


def test_a_chip_that_warms_up_is_read_later_after_each_opening(run: Any) -> None:
    began = time.monotonic()
    _, ear = run(a=config(first_after_s=0.3, stale_after_s=9, fault="vanish", fault_after=2))
    ear.until(lambda: len(ear.of("a")) > 2)
    times = [at - began for at, _, _ in ear.readings]
    assert times[0] >= 0.3
    assert times[2] - times[1] >= 0.3, "it was opened again"


def test_sensors_of_different_kinds_take_turns_at_a_device_that_they_share(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = [0], [0]

    def read(_: Any) -> list[Reading]:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        pause.wait(0.005)
        inside[0] -= 1
        return [Reading("", 1.0, "", 1.0)]

    pause = threading.Event()
    for kind in ("Synthetic", "Command"):
        module = sensors.load(kind.lower())
        monkeypatch.setattr(getattr(module, kind), "read", read)
    shared = {"interval_s": 0.01, "deadline_s": 5, "shared_device": "adc"}
    command = sensors.load("command").Config(command=["true"], timeout_s=1, **shared)
    _, ear = run(a=Config(**shared), b=Config(**shared), c=command)
    ear.until(lambda: all(len(ear.of(name)) >= 10 for name in "abc"))
    assert most[0] == 1


def test_a_turn_that_does_not_come_is_a_bad_reading(run: Any) -> None:
    shared = {"shared_device": "bus", "deadline_s": 0.2}
    with turns.take("bus", 1):
        _, ear = run(a=config(**shared))
        ear.until(lambda: "waiting" in ear.states_of("a"))
        assert "bus was in use by another sensor" in ear.states[-1].last_error
    ear.until(lambda: ear.of("a"))
    with turns.take("bus", 1):
        ear.until(lambda: any(r.quality == "bad" for _, _, r in ear.readings))
    reasons = {reading.reason for _, _, reading in ear.readings if reading.quality == "bad"}
    assert "bus was in use by another sensor for 0.2 s" in reasons


def test_a_hung_sensors_last_reading_becomes_stale(run: Any) -> None:
    _, ear = run(a=config(fault="hang", fault_after=2, stale_after_s=0.3, heartbeat_s=100))
    ear.until(lambda: any(reading.quality == "stale" for _, _, reading in ear.readings))
    stale = [reading for _, _, reading in ear.sent if reading.quality == "stale"]
    assert len(stale) == 1
    assert stale[0].value == ear.of("a")[1]
    assert stale[0].reason.startswith("no reading for")


class Slow:
    """Hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.opened = 0
        self.closed = 0

    def open(self) -> None:
        self.opened += 1

    def read(self) -> list[Reading]:
        if self.opened == 1:
            self.let_go.wait()
        return [Reading("", 1.0, "", time.time())]

    def close(self) -> None:
        self.closed += 1


def wait_for_faults(runner: SensorRunner, count: int) -> None:
    until = time.monotonic() + 5
    while runner.status()["a"].faults < count:
        assert time.monotonic() < until
        threading.Event().wait(0.02)


def driver(monkeypatch: pytest.MonkeyPatch, sensor: Any) -> None:
    monkeypatch.setattr(sensors.load("synthetic"), "create", lambda _: sensor)


def test_a_call_that_returns_after_its_deadline_is_not_trusted(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    driver(monkeypatch, slow)
    _, ear = run(a=config())
    ear.until(lambda: ear.states_of("a") == ["hung"])
    assert ear.readings == []
    slow.let_go.set()
    ear.until(lambda: ear.states_of("a") == ["hung", "waiting", "running"])
    assert (slow.opened, slow.closed) == (2, 1)


def test_a_device_that_goes_is_opened_again(run: Any) -> None:
    runner, ear = run(a=config(fault="vanish", fault_after=3))
    ear.until(lambda: len(ear.readings) >= 9)
    assert ear.states_of("a")[:3] == ["running", "waiting", "running"]
    assert runner.status()["a"].faults >= 2
    assert "was unplugged" in runner.status()["a"].last_error


def test_garbage_is_never_good(run: Any) -> None:
    _, ear = run(a=config(fault="garbage", fault_after=0))
    ear.until(lambda: len(ear.readings) >= 6)
    assert {(reading.value, reading.quality.value) for _, _, reading in ear.readings} == {(None, "bad")}


def test_a_flood_is_bounded_and_ends_in_the_right_state(run: Any, machine: Machine) -> None:
    _, ear = run(
        a=config(binary=True, fault="flood", fault_after=1, interval_s=0.2), b=config(interval_s=0.1)
    )
    began = time.monotonic()
    ear.until(lambda: ear.of("b")[14:])
    passed = time.monotonic() - began
    assert len(ear.of("a")) <= 2 * passed / 0.02 + 20
    assert sum(name == "a" for _, name, _ in ear.sent) <= 20 + 10 * passed + 2
    times = [at for at, name, _ in ear.readings if name == "b"]
    assert max(b - a for a, b in itertools.pairwise(times[1:])) <= 0.15 + machine.late_s


def test_edges_come_between_two_readings(run: Any) -> None:
    _, ear = run(door=config(binary=True, edge_s=0.1, interval_s=30))
    ear.until(lambda: len(ear.readings) >= 6)
    assert ear.of("door")[:6] == [False, True, False, True, False, True]
    assert [reading.value for _, _, reading in ear.sent[:6]] == ear.of("door")[:6]


class Broken:
    """Raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def open(self) -> None:
        raise self.error

    def read(self) -> list[Reading]:
        return []

    def close(self) -> None:
        pass


def test_a_missing_package_is_not_tried_again(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Broken(DriverError("pip install it")))
    runner, ear = run(a=config())
    ear.until(lambda: ear.states_of("a") == ["failed"])
    assert runner.status()["a"].last_error == "pip install it"
    assert runner.stop(2) == []
    assert runner.status()["a"].faults == 1


def test_a_defect_is_told_once_with_its_traceback_and_tried_again(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[logging.LogRecord] = []
    log = logging.getLogger("of-this-test")
    log.addFilter(lambda record: bool(told.append(record)))
    monkeypatch.setattr(runner_module, "log", log)
    driver(monkeypatch, Broken(ZeroDivisionError("in the driver")))
    runner, _ = run(a=config())
    wait_for_faults(runner, 3)
    assert [record.exc_info is not None for record in told] == [True]
    assert runner.status()["a"].last_error == "ZeroDivisionError: in the driver"


def test_a_device_that_stays_away_says_so_once(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    driver(monkeypatch, Broken(Unavailable(Reason.ABSENT, "there is no chip")))
    runner, ear = run(a=config())
    wait_for_faults(runner, 3)
    assert [(status.state, status.last_error) for status in ear.states] == [("waiting", "there is no chip")]


def test_a_stop_is_quick(run: Any, machine: Machine) -> None:
    runner, ear = run(
        **{f"s{n}": config(interval_s=60) for n in range(5)}, door=config(binary=True, edge_s=60)
    )
    ear.until(lambda: len(ear.readings) >= 6)
    began = time.monotonic()
    assert runner.stop(2) == []
    assert time.monotonic() - began < 0.6 + 3 * machine.late_s


FIFTY = """
import resource, statistics, sys, time
from edged.sensors.drivers.synthetic import Config
from edged.worker.sensor_runner import SensorRunner

class Ear:
    times = {}
    def seen(self, sensor, reading):
        self.times.setdefault(sensor, []).append(time.monotonic())
    def published(self, sensor, reading): pass
    def changed(self, status): pass

seconds = float(sys.argv[1])
configs = {f"s{n}": Config(interval_s=1, deadband=0.1, aggregate={"window_s": 5}) for n in range(50)}
runner = SensorRunner(configs, Ear())
runner.start()
time.sleep(1)
began, used = time.monotonic(), time.process_time()
time.sleep(seconds)
cpu = (time.process_time() - used) / (time.monotonic() - began)
gaps = [b - a for times in Ear.times.values() for a, b in zip(times[1:], times[2:])]
rss = int(next(l for l in open("/proc/self/status") if l.startswith("VmRSS")).split()[1]) / 1024
print(cpu, rss, sorted(abs(g - 1) for g in gaps)[int(len(gaps) * 0.99)], len(gaps), "numpy" in sys.modules)
runner.stop(1)
"""


def test_fifty_sensors_cost_little(machine: Machine) -> None:
    done = subprocess.run([sys.executable, "-c", FIFTY, "4"], capture_output=True, text=True, check=True)
    cpu, rss, jitter, gaps, numpy = done.stdout.split()
    print(f"50 sensors at 1 Hz: {float(cpu):.1%} of a core, {float(rss):.1f} MB, jitter {jitter} s")
    assert int(gaps) >= 100
    assert numpy == "False"
    assert float(cpu) <= 0.05
    assert float(rss) <= 45
    assert float(jitter) <= 0.05 + machine.late_s
