from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edged.errors import Reason, Unavailable
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Heartbeat
from edged.sources import Frame, Hint, SourceConfig, View, jpeg
from edged.sources.decoding import Decoding
from edged.sources.drivers import synthetic
from edged.sources.progress import Place, Progress
from edged.worker import capture, shared_camera
from edged.worker.capture import Capture
from edged.worker.shared_camera import Share, SharedCamera, Tap
from edged.worker.throughput import Throughput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 20.0


class Camera:
    """A source that counts what is done with it, and fails as the test wants."""

    live = True
    view = (0.5, 0.5)

    def __init__(self, config: SourceConfig, hint: Hint) -> None:
        self.config, self.hint = config, hint
        self.opened = self.reads = self.closed = 0
        self.threads: set[str] = set()
        self.fails: Exception | None = None
        self.none = False
        self.may_read = threading.Event()
        self.may_read.set()
        self.reading = threading.Event()
        self.keeps = False

    def open(self) -> None:
        self._touch()
        self.opened += 1
        if self.fails is not None:
            raise self.fails

    def read(self, timeout_s: float) -> Frame | None:
        self._touch()
        assert timeout_s == 3.0
        self.reading.set()
        assert self.may_read.wait(PATIENCE_S)
        if self.fails is not None:
            raise self.fails
        if self.none:
            return None
        self.reads += 1
        return Frame(np.full((48, 64, 3), 99, np.uint8), 1.7e9, number=self.reads, skipped=2)

    def close(self) -> None:
        self._touch()
        self.closed += 1
        if self.keeps:
            raise Unavailable(Reason.KEPT, "the camera stays busy")

    def _touch(self) -> None:
        self.threads.add(threading.current_thread().name)


class Stand:
    """A shared camera whose sources the test holds, and a clock that it moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.made: list[Camera] = []
        self.next_fails: Exception | None = None
        self.camera = SharedCamera("yard")

        def create(config: SourceConfig, hint: Hint) -> Camera:
            self.made.append(Camera(config, hint))
            self.made[-1].fails, self.next_fails = self.next_fails, None
            return self.made[-1]

        monkeypatch.setattr(synthetic, "create", create)
        monkeypatch.setattr(shared_camera.clock, "monotonic", lambda: self.now)

    def tap(self, hint: Hint = Hint(64, 64), **keys: object) -> Tap:  # noqa: B008 - it is frozen
        config = synthetic.Config.model_validate({"kind": "synthetic", "interval_s": 0} | keys)
        tap = self.camera.join(Share(config, hint))()
        assert isinstance(tap, Tap)
        return tap

    @property
    def source(self) -> Camera:
        return self.made[-1]


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    before = set(threading.enumerate())
    yield Stand(monkeypatch)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
    assert set(threading.enumerate()) <= before, "no thread is left"


def frame(tap: Tap) -> Frame:
    found = tap.read(3.0)
    assert found is not None
    return found


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_one_opening_and_one_read_serve_all(stand: Stand) -> None:
    taps = [stand.tap() for _ in range(4)]
    for tap in taps:
        tap.open()
        assert (tap.live, tap.view) == (True, (0.5, 0.5))
    assert {frame(tap).number for tap in taps} == {1}
    assert {frame(tap).number for tap in reversed(taps)} == {2}
    assert (len(stand.made), stand.source.opened, stand.source.reads) == (1, 1, 2)
    for tap in taps[:3]:
        tap.close()
    assert stand.source.closed == 0
    taps[3].close()
    taps[3].close()
    assert stand.source.closed == 1
    assert stand.source.threads == {"camera:yard"}, "one thread opens, reads and closes"


def test_a_picture_is_never_given_twice_and_never_late(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    assert [frame(a).number, frame(a).number, frame(b).number] == [1, 2, 2]
    stand.now += shared_camera.SHARED_S - 0.01
    assert [frame(a).number, frame(b).number] == [3, 3]
    assert frame(a).number == 4
    stand.now += shared_camera.SHARED_S + 0.01
    assert frame(b).number == 5, "the last one is too old"
    assert frame(a).number == 5
    a.close()
    b.close()


def test_a_slow_pipeline_counts_what_it_missed(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    assert [frame(a).skipped, frame(b).skipped] == [2, 2]
    assert [frame(a).skipped for _ in range(3)] == [2, 2, 2]
    assert frame(b).skipped == 2 + 2 * 3
    a.close()
    b.close()


def test_a_fault_is_one_of_all_and_they_open_it_again(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    frame(a)
    stand.source.fails = Unavailable(Reason.LOST, "unplugged")
    for tap in (a, b):
        with pytest.raises(Unavailable, match="unplugged"):
            tap.read(3.0)
        tap.close()
    assert stand.source.closed == 1
    for tap in (a, b):
        tap.open()
        frame(tap)
    assert len(stand.made) == 2
    a.close()
    b.close()


def test_one_opens_it_again_while_the_other_has_not_noticed(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    stand.source.fails = Unavailable(Reason.LOST, "unplugged")
    with pytest.raises(Unavailable):
        a.read(3.0)
    a.close()
    a.open()
    assert frame(a).number == 1
    with pytest.raises(Unavailable, match="unplugged"):
        b.read(3.0)
    b.close()
    b.open()
    assert frame(b).number == 1
    assert len(stand.made) == 2
    a.close()
    b.close()


def test_a_camera_that_does_not_open_says_so_to_each(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    for tap in (a, b):
        stand.next_fails = Unavailable(Reason.BUSY, "held by motion")
        with pytest.raises(Unavailable, match="held by motion"):
            tap.open()
        tap.close()
    a.open()
    frame(a)
    a.close()
    assert [camera.closed for camera in stand.made] == [1, 1, 1]


def test_bad_pictures_let_it_be_opened_again_for_all(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    a.renew("frozen; opening it again")
    with pytest.raises(Unavailable, match="frozen"):
        b.read(3.0)
    b.close()
    a.close()
    assert stand.source.closed == 1


def test_the_end_is_the_end_of_all(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    stand.source.fails = Unavailable(Reason.ENDED, "that was the last")
    for tap in (a, b):
        with pytest.raises(Unavailable) as caught:
            tap.read(3.0)
        assert caught.value.reason is Reason.ENDED
        tap.close()


def test_no_picture_is_due_for_any_who_waits(stand: Stand) -> None:
    a = stand.tap()
    a.open()
    stand.source.none = True
    assert a.read(3.0) is None
    stand.source.none = False
    assert frame(a).number == 1
    a.close()


def test_who_comes_while_it_is_read_gets_that_picture(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    stand.source.may_read.clear()
    found: list[int] = []
    readers = [in_thread(lambda tap=tap: found.append(frame(tap).number)) for tap in (a, b)]
    assert stand.source.reading.wait(PATIENCE_S)
    stand.now += 10  # a slow camera
    stand.source.may_read.set()
    for reader in readers:
        reader.join(PATIENCE_S)
    assert found == [1, 1]
    a.close()
    b.close()


def test_a_camera_that_cannot_be_given_back_ends_the_worker(stand: Stand) -> None:
    a, b = stand.tap(), stand.tap()
    a.open()
    b.open()
    stand.source.keeps = True
    a.close()
    with pytest.raises(Unavailable) as caught:
        b.close()
    assert caught.value.reason is Reason.KEPT


def test_a_closed_tap_is_closed(stand: Stand) -> None:
    with pytest.raises(Unavailable, match="not open"):
        stand.tap().read(3.0)


def test_one_source_is_enough_for_each(stand: Stand) -> None:
    noted: dict[str, list[int]] = {"a": [], "b": []}
    said: list[str] = []
    progress = Progress(number=7)
    progress.done(Place(77), 8)
    hints = [
        Hint(224, 160, 5.0, decoding=Decoding(noted["a"].append, [1], said.append)),
        Hint(96, 300, 30.0, decoding=Decoding(noted["b"].append, [2], said.append), progress=progress),
    ]
    a, b = stand.tap(hints[0], interval_s=2, rotate="90"), stand.tap(hints[1], interval_s=0.5)
    a.open()
    config, hint = stand.source.config, stand.source.hint
    assert (config.interval_s, config.rotate, config.crop) == (0.5, "0", None)
    assert (hint.width, hint.height, hint.patience_s) == (300, 300, 30.0)
    assert hint.progress.last == 77
    assert hint.views == (View(224, 160, "90"), View(96, 300, "0"))
    assert hint.decoding.fatal == {1, 2}
    hint.decoding.begins(5)
    hint.decoding.ends()
    assert noted == {"a": [5, 0], "b": [5, 0]}
    hint.decoding.leave_out(["/x.jpg"])
    assert len(said) == 2
    a.close()
    b.close()


def test_a_crop_keeps_the_picture_as_large_as_it_needs(stand: Stand) -> None:
    a, b = stand.tap(Hint(224, 224)), stand.tap(Hint(96, 96), crop=[0, 0, 200, 200])
    a.open()
    assert stand.source.config.crop is None
    assert (stand.source.hint.width, stand.source.hint.height) == (0, 0)
    assert jpeg.Shrink(stand.source.config, stand.source.hint)(1920, 1080) == 2
    alone = jpeg.Shrink(SourceConfig(kind="synthetic"), Hint(224, 224))
    assert alone(1920, 1080) == 4
    a.close()
    b.close()


def test_what_the_mask_of_the_camera_covers_no_pipeline_sees() -> None:
    camera = SharedCamera("yard")
    mask = [[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]
    keys = {"kind": "synthetic", "size": [64, 48], "interval_s": 0, "rotate": "180", "mask": mask}
    config = synthetic.Config.model_validate(keys)
    taps = [
        camera.join(Share(config.model_copy(update={"crop": crop}), Hint(32, 32)))()
        for crop in (None, (0, 0, 20, 20))
    ]
    for tap in taps:
        tap.open()
    for tap in taps:
        pixels = tap.read(3.0).pixels  # type: ignore[union-attr] # it always has a picture
        assert not pixels[24:].any(), "the upper half, after the picture is turned"
        assert pixels[:20].any()
    for tap in taps:
        tap.close()


def test_a_frozen_camera_is_opened_again_although_two_use_it(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_camera.clock, "monotonic", time.monotonic)
    monkeypatch.setattr(capture, "BAD_S", 0.0)
    monkeypatch.setattr(capture, "BLIND_S", 0.05)
    monkeypatch.setattr(capture, "SHORTEST_S", 0.01)
    faults: queue.SimpleQueue[worker_messages.Report] = queue.SimpleQueue()
    heartbeat = Heartbeat.create()
    captures = [
        Capture(
            name,
            stand.camera.join(Share(synthetic.Config(interval_s=0), Hint(32, 32))),
            lambda frame: frame.pixels,
            patience_s=5.0,
            beat=heartbeat.capture(slot),
            deliver=lambda _item, slot=slot: captures[slot].taken(),
            report=faults.put,
            throughput=Throughput(),
        )
        for slot, name in enumerate(("gate", "people"))
    ]
    for one in captures:
        one.start()
    said: set[tuple[str, str]] = set()
    while len(said) < 4 or len(stand.made) < 3:
        report = faults.get(timeout=PATIENCE_S)
        assert isinstance(report, worker_messages.Fault)
        said.add((report.pipeline, report.reason))
    assert said == {(name, reason) for name in ("gate", "people") for reason in ("frozen", "lost")}
    for one in captures:
        one.stop()
    for one in captures:
        one.join(PATIENCE_S)
    heartbeat.close()
    assert all(camera.closed == 1 for camera in stand.made)
