from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.errors import Reason, Unavailable
from edged.sources import Hint
from edged.sources.drivers.video import Config, File, create
from edged.sources.progress import Progress
from edged.sources.recording import Recording
from unit.sources import video_files

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import Frame

VARIABLE = (0, 0.2, 0.4, 4.2)


def value(frame: Frame | None) -> int:
    assert frame is not None
    return round((float(frame.pixels.mean()) - 20) / 20)


@pytest.mark.parametrize(
    ("degrees", "shape", "bright"),
    [
        (0, (64, 96), (8, 48)),
        (90, (96, 64), (48, 56)),
        (180, (64, 96), (56, 48)),
        (270, (96, 64), (48, 8)),
    ],
)
def test_a_recording_is_upright(
    tmp_path: Path, degrees: int, shape: tuple[int, int], bright: tuple[int, int]
) -> None:
    recording = Recording(video_files.rotated(tmp_path / "a.mp4", degrees), loop=False)
    pixels = recording.take()
    recording.close()
    assert pixels.shape[:2] == shape
    dark = (shape[0] - 1 - bright[0], shape[1] - 1 - bright[1])
    assert pixels[bright].mean() > 180
    assert pixels[dark].mean() < 70


@pytest.mark.parametrize("loop", [False, True])
def test_each_frame_has_the_time_of_the_file(tmp_path: Path, loop: bool) -> None:
    recording = Recording(video_files.timed(tmp_path / "a.mkv", VARIABLE), loop=loop)
    times = []
    while not recording.ended and len(times) < 6:
        times.append(recording.at_s)
        recording.take()
    recording.close()
    assert times[:4] == pytest.approx(VARIABLE, abs=0.002)
    if loop:
        assert times[5] - times[4] == pytest.approx(0.2, abs=0.002)
        assert times[4] > 4.2


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def opened(path: Path, clock: Clock) -> File:
    source = File(Config(url=str(path), realtime=True), monotonic=clock, sleep=clock.sleep)
    source.open()
    return source


def test_a_variable_rate_is_played_in_its_own_time(tmp_path: Path) -> None:
    clock = Clock()
    source = opened(video_files.timed(tmp_path / "a.mkv", VARIABLE), clock)
    seen = []
    while len(seen) < 4:
        frame = source.read(3)
        if frame is not None:
            seen.append(clock.now - 100)
            assert frame.skipped == 0
    assert seen == pytest.approx(VARIABLE, abs=0.002)
    with pytest.raises(Unavailable) as caught:
        source.read(3)
    assert caught.value.reason is Reason.ENDED
    source.close()


def test_a_time_lapse_waits_and_is_not_away(tmp_path: Path) -> None:
    """A frame in ten seconds, and a reader that waits for three."""
    clock = Clock()
    source = opened(video_files.timed(tmp_path / "a.mkv", (0, 10, 20)), clock)
    answers = [source.read(3) for _ in range(9)]
    assert [n for n, frame in enumerate(answers) if frame is not None] == [0, 4, 8]
    assert clock.now == pytest.approx(120, abs=0.01)
    source.close()


def test_what_is_late_is_skipped_up_to_the_newest_frame_and_not_beyond(tmp_path: Path) -> None:
    clock = Clock()
    source = opened(video_files.timed(tmp_path / "a.mkv", VARIABLE), clock)
    source.read(1)
    clock.now = 101.0  # the model took a second: the newest frame is that of 0.4 s
    frame = source.read(1)
    assert frame is not None
    assert (value(frame), frame.skipped, frame.number) == (2, 1, 2)
    source.close()


def test_the_place_in_a_recording_is_kept_over_a_restart(video: Path) -> None:
    progress = Progress()
    source = create(Config(url=str(video)), Hint(progress=progress))
    source.open()
    for _ in range(4):
        frame = source.read(0)
        progress.done(frame.place, frame.number + 1)
    source.close()
    again = create(Config(url=str(video)), Hint(progress=progress))
    again.open()
    frame = again.read(0)
    again.close()
    assert (value(frame), frame.number) == (4, 4)
    shorter = Recording(video, loop=False, start=99)
    assert round((float(shorter.take().mean()) - 20) / 20) == 0
    shorter.close()


def test_the_cases_from_the_field(testdata: Path) -> None:
    cases = testdata.parent / "cases" / "pictures"
    if not cases.is_dir():
        pytest.skip(f"the cases are not there: {cases}")
    recording = Recording(cases / "vfr.mp4", loop=False)
    times = []
    while not recording.ended:
        times.append(round(recording.at_s, 1))
        recording.take()
    recording.close()
    assert times[:4] == [0, 0.2, 0.4, 4.2]
