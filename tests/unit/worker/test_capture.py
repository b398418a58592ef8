from __future__ import annotations

import os
import queue
from typing import TYPE_CHECKING

import numpy as np
import pytest
from tflite_builder import Kind, build

from edged.config.gating import GateSection
from edged.errors import DriverError, Reason, Unavailable
from edged.inference.preprocess import Preparer
from edged.ipc import readings_page, worker_messages
from edged.ipc.heartbeat import Heartbeat, Stage
from edged.ipc.readings_page import Reader, Writer
from edged.models import image_classifier
from edged.models.tflite import file as tflite_file
from edged.sources import Frame
from edged.system import clock
from edged.worker import capture
from edged.worker.capture import Capture, Item
from edged.worker.gating import Pause, PipelineGate
from edged.worker.motion import MotionGate, Rules
from edged.worker.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PATIENCE_S = 20.0  # of the test, for the thread


def picture(value: int) -> NDArray[np.uint8]:
    return np.full((48, 64, 3), value, np.uint8)


class Scripted:
    """A camera that does what its script says: a picture, an exception, or a wait for the test."""

    live = True
    view = (0.5, 0.667)

    def __init__(self, script: list[object]) -> None:
        self._script = script
        self.opened = 0
        self.closed = 0
        self._number = 0
        self.kept: Unavailable | None = None

    def open(self) -> None:
        self.opened += 1

    def read(self, timeout_s: float) -> Frame | None:
        assert timeout_s > 0
        step = self._script.pop(0) if self._script else Unavailable(Reason.ENDED, "the script is over")
        if isinstance(step, Exception):
            raise step
        if step is None:
            return None
        if callable(step):
            step()
            return self.read(timeout_s)
        assert isinstance(step, np.ndarray)
        self._number += 1
        return Frame(step, 1.7e9 + self._number, number=self._number - 1, skipped=2)

    def close(self) -> None:
        self.closed += 1
        if self.kept is not None:
            raise self.kept


class Bench:
    """A capture thread and what it says."""

    def __init__(
        self,
        preparer: Preparer,
        script: list[object],
        watch: PipelineGate | None = None,
        motion: MotionGate | None = None,
    ) -> None:
        self.source = Scripted(script)
        self.items: queue.SimpleQueue[Item | Pause | None] = queue.SimpleQueue()
        self.faults: queue.SimpleQueue[worker_messages.Report] = queue.SimpleQueue()
        self.throughput = Throughput()
        self.heartbeat = Heartbeat.create()
        self.capture = Capture(
            "porch",
            lambda: self.source,
            preparer.prepare,
            patience_s=5.0,
            numbered=True,
            beat=self.heartbeat.capture(0),
            deliver=self.items.put,
            report=self.faults.put,
            throughput=self.throughput,
            watch=watch,
            motion=motion,
        )

    def item(self) -> Item | None:
        item = self.items.get(timeout=PATIENCE_S)
        assert not isinstance(item, Pause)
        return item

    def fault(self) -> worker_messages.Fault:
        report = self.faults.get(timeout=PATIENCE_S)
        assert isinstance(report, worker_messages.Fault)
        return report


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Bench]]:
    (tmp_path / "m.tflite").write_bytes(build(picture=Kind("uint8", 1 / 255), scores=Kind("uint8", 1 / 256)))
    picture = image_classifier.picture_input(tflite_file.read(tmp_path / "m.tflite"))
    monkeypatch.setattr(capture, "SHORTEST_S", 0.01)
    monkeypatch.setattr(capture, "BAD_S", 0.0)
    made: list[Bench] = []

    def make(
        *script: object,
        crop: tuple[int, int, int, int] | None = None,
        watch: PipelineGate | None = None,
        rules: Rules | None = None,
    ) -> Bench:
        preparer = Preparer(picture, crop=crop)
        motion = MotionGate(rules, preparer.part) if rules is not None else None
        made.append(Bench(preparer, list(script), watch, motion))
        made[-1].capture.start()
        return made[-1]

    yield make
    for each in made:
        each.capture.stop()
        each.capture.join(PATIENCE_S)
        each.heartbeat.close()


def test_one_frame_is_prepared_ahead_and_no_more(bench: Callable[..., Bench]) -> None:
    porch = bench(*(picture(n) for n in range(50, 60)))
    first = porch.item()
    assert first is not None
    assert first.tensor.shape == (1, 8, 8, 3)
    assert (first.number, first.captured_at) == (0, 1.7e9 + 1)
    assert porch.capture.view == (0.5, 0.667)
    with pytest.raises(queue.Empty):
        porch.items.get(timeout=0.1)
    porch.capture.taken()
    second = porch.item()
    assert second is not None
    assert second.number == 1
    assert porch.throughput.dropped["skipped"] == 4


def test_a_source_that_has_nothing_yet_is_not_away(bench: Callable[..., Bench]) -> None:
    porch = bench(None, None, picture(50), None, picture(60))
    assert porch.item() is not None
    porch.capture.taken()
    second = porch.item()
    assert second is not None
    assert second.number == 1
    assert porch.source.opened == 1
    assert porch.faults.empty()
    assert not porch.capture.blind
    assert set(porch.throughput.dropped) == {"skipped"}


def test_a_finite_source_ends_when_it_gave_everything(bench: Callable[..., Bench]) -> None:
    porch = bench(picture(50))
    assert porch.item() is not None
    porch.capture.taken()
    assert porch.item() is None
    assert porch.heartbeat.capture(0).read().stage is Stage.GONE
    assert porch.source.closed == 1
    assert porch.faults.empty()


def test_a_camera_that_goes_away_is_closed_reported_and_opened_again(bench: Callable[..., Bench]) -> None:
    porch = bench(picture(50), Unavailable(Reason.LOST, "it was unplugged"), picture(60))
    assert porch.item() is not None
    porch.capture.taken()
    fault = porch.fault()
    assert (fault.kind, fault.reason, fault.message) == ("source", "lost", "it was unplugged")
    assert porch.item() is not None
    assert not porch.capture.blind
    assert (porch.source.opened, porch.throughput.dropped["lost"]) == (2, 1)
    assert porch.source.closed == 1


@pytest.mark.parametrize("where", ["close", "read"])
def test_a_device_that_cannot_be_given_back_ends_the_worker(
    where: str, bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: queue.SimpleQueue[int] = queue.SimpleQueue()
    monkeypatch.setattr(os, "_exit", statuses.put)
    kept = Unavailable(Reason.KEPT, "the camera could not be given back")
    lost = Unavailable(Reason.LOST, "it was unplugged")
    porch = bench(picture(50), lambda: None, kept if where == "read" else lost)
    if where == "close":
        porch.source.kept = kept
    assert porch.item() is not None
    porch.capture.taken()
    reasons = [porch.fault().reason for _ in range(1 if where == "read" else 2)]
    assert reasons[-1] == "kept"
    assert statuses.get(timeout=PATIENCE_S) == os.EX_TEMPFAIL
    porch.source.kept = None


def test_what_was_delivered_before_a_fault_is_no_sign_of_health(bench: Callable[..., Bench]) -> None:
    porch = bench(
        picture(50),
        Unavailable(Reason.LOST, "it was unplugged"),
        Unavailable(Reason.ABSENT, "there is none"),
        picture(60),
    )
    assert porch.item() is not None
    assert not porch.capture.blind
    porch.capture.taken()
    assert porch.fault().reason == "lost"
    assert porch.fault().reason == "absent"
    assert porch.item() is not None
    assert not porch.capture.blind


def test_a_missing_package_is_tried_again_too(bench: Callable[..., Bench]) -> None:
    porch = bench(DriverError("picamera2 is missing: apt install python3-picamera2"), picture(50))
    fault = porch.fault()
    assert (fault.kind, fault.reason) == ("driver", "missing")
    assert porch.item() is not None


@pytest.mark.parametrize(
    ("bad", "reason"),
    [(picture(0), "black"), (np.zeros((1, 48 * 64 * 3), np.uint8), "shape")],
    ids=["black", "shape"],
)
def test_a_picture_that_is_none_is_reported_once_and_not_classified(
    bench: Callable[..., Bench], bad: NDArray[np.uint8], reason: str
) -> None:
    porch = bench(*[bad] * 5, picture(50))
    fault = porch.fault()
    assert (fault.kind, fault.reason) == ("picture", reason)
    item = porch.item()
    assert item is not None
    assert item.number == 5
    assert not porch.capture.blind
    assert porch.throughput.dropped[reason] == 5
    assert porch.faults.empty()


def test_a_frozen_camera_is_reported(bench: Callable[..., Bench]) -> None:
    porch = bench(*[picture(50)] * (capture.FROZEN_AFTER + 3), picture(60))
    for _ in range(capture.FROZEN_AFTER - 1):
        assert porch.item() is not None
        porch.capture.taken()
    assert porch.fault().reason == "frozen"
    item = porch.item()
    assert item is not None
    assert item.number == capture.FROZEN_AFTER + 3


def test_a_source_that_gives_garbage_only_is_opened_anew(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "BLIND_S", 0.05)
    porch = bench(*[np.zeros((1, 900), np.uint8)] * 20, picture(50))
    assert porch.fault().reason == "shape"
    assert porch.fault().reason == "lost"
    assert porch.source.closed >= 1


def test_a_hiccup_is_counted_and_not_reported(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture, "BAD_S", 60.0)
    script = [picture(0 if n % 2 else 50 + n) for n in range(40)]
    porch = bench(*script)
    for _ in range(20):
        assert porch.item() is not None
        porch.capture.taken()
    assert porch.item() is None
    assert porch.throughput.dropped["black"] == 20
    assert porch.faults.empty()


def test_a_crop_outside_of_the_picture_is_said(bench: Callable[..., Bench]) -> None:
    porch = bench(picture(50)[:20, :20], crop=(60, 40, 64, 48))
    fault = porch.fault()
    assert (fault.kind, fault.reason) == ("model", "input")


def test_a_thread_that_waits_stamps_its_lane(bench: Callable[..., Bench]) -> None:
    porch = bench(*(picture(n) for n in range(50, 60)))
    assert porch.item() is not None
    while porch.heartbeat.capture(0).read().stage is not Stage.IDLE:
        pass
    since = porch.heartbeat.capture(0).read().since
    with pytest.raises(queue.Empty):
        porch.items.get(timeout=1.3)
    assert porch.heartbeat.capture(0).read().since > since


def test_stopping_closes_the_source(bench: Callable[..., Bench]) -> None:
    porch = bench(*(picture(n) for n in range(50, 60)))
    assert porch.item() is not None
    porch.capture.stop()
    porch.capture.join(PATIENCE_S)
    assert porch.source.closed == 1


def test_a_gate_that_closes_hands_on_a_pause_behind_the_last_frame(bench: Callable[..., Bench]) -> None:
    descriptor = readings_page.create()
    writer = Writer(descriptor, ["lux"])
    gate = GateSection.model_validate({"conditions": [{"sensor": "lux", "above": 20}]})

    def light(lux: float) -> None:
        writer.put("lux", "lx", lux, quality="good", ts=0.0, at=clock.monotonic(), fresh_s=60.0)

    light(30)
    porch = bench(*(picture(n) for n in range(50, 60)), watch=PipelineGate(gate, None, Reader(descriptor)))
    assert porch.item() is not None
    light(10)
    porch.capture.taken()
    assert isinstance(porch.items.get(timeout=PATIENCE_S), Pause)
    with pytest.raises(queue.Empty):
        porch.items.get(timeout=0.1)
    light(30)
    assert porch.item() is not None, "and it goes on"


def test_pipelines_that_share_a_camera_are_due_at_the_same_times(bench: Callable[..., Bench]) -> None:
    due: list[list[float]] = []
    for interval_s, began in ((0.5, 100.03), (1.0, 100.4), (0.5, 100.49)):
        one = bench(picture(100)).capture
        one._interval_s, one._aligned = interval_s, True
        first = one._next_due(began)
        second = one._next_due(first)
        due.append([first, second, one._next_due(second)])
    assert due == [[100.5, 101.0, 101.5], [101.0, 102.0, 103.0], [101.0, 101.5, 102.0]]


def shown(square: int, other: int) -> NDArray[np.uint8]:
    """A picture with a square at a place, different from the one before, as a camera's are."""
    pixels = picture(50)
    pixels[10:30, square : square + 16] = 200
    pixels[-1, -1] = 50 + other % 2
    return pixels


def test_only_what_moves_is_handed_on_and_the_picture_before(bench: Callable[..., Bench]) -> None:
    still, moved = [shown(0, n) for n in range(4)], [shown(40, n) for n in range(4)]
    porch = bench(*still, *moved, shown(0, 0), rules=Rules(0.01, 0))
    numbers = []
    while (item := porch.item()) is not None:
        numbers.append(item.number)
        porch.capture.taken()
    assert numbers == [0, 1, 3, 4, 5, 6, 7, 8]
    assert porch.throughput.dropped["still"] == 2
    assert porch.faults.empty()


def test_the_first_picture_after_a_fault_is_handed_on(bench: Callable[..., Bench]) -> None:
    away = Unavailable(Reason.LOST, "it was unplugged")
    black = [picture(0)] * 2
    script = [*(shown(0, n) for n in range(3)), away, *(shown(0, n) for n in range(3)), *black]
    porch = bench(*script, *(shown(0, n) for n in range(3)), rules=Rules(0.01, 0))
    numbers = []
    while (item := porch.item()) is not None:
        numbers.append(item.number)
        porch.capture.taken()
    assert numbers == [0, 1, 3, 4, 8, 9]
    assert not porch.capture.blind


def test_the_first_picture_after_a_gate_is_handed_on(bench: Callable[..., Bench]) -> None:
    descriptor = readings_page.create()
    writer = Writer(descriptor, ["lux"])
    gate = GateSection.model_validate({"conditions": [{"sensor": "lux", "above": 20}]})

    def light(lux: float) -> None:
        writer.put("lux", "lx", lux, quality="good", ts=0.0, at=clock.monotonic(), fresh_s=60.0)

    light(30)
    watch = PipelineGate(gate, None, Reader(descriptor))
    script = [shown(0, 0), shown(0, 1), lambda: light(10), *(shown(0, n) for n in range(9))]
    porch = bench(*script, watch=watch, rules=Rules(0.01, 0))
    for _ in range(2):
        assert porch.item() is not None
        porch.capture.taken()
    assert isinstance(porch.items.get(timeout=PATIENCE_S), Pause)
    light(30)
    assert porch.item() is not None
