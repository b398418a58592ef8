from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.errors import Reason, Unavailable
from edged.sources import Hint, display_matrix
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
    ("orientation", "shape", "bright"),
    [
        (1, (64, 96), "top left"),
        (2, (64, 96), "top right"),
        (3, (64, 96), "bottom right"),
        (4, (64, 96), "bottom left"),
        (5, (96, 64), "top left"),
        (6, (96, 64), "top right"),
        (7, (96, 64), "bottom right"),
        (8, (96, 64), "bottom left"),
    ],
)
def test_a_recording_is_upright(
    tmp_path: Path, orientation: int, shape: tuple[int, int], bright: str
) -> None:
    recording = Recording(video_files.oriented(tmp_path / "a.mp4", orientation), loop=False)
    pixels = recording.take()
    recording.close()
    assert pixels.shape[:2] == shape
    half_y, half_x = shape[0] // 2, shape[1] // 2
    for vertical, rows in (("top", slice(0, half_y)), ("bottom", slice(half_y, None))):
        for horizontal, columns in (("left", slice(0, half_x)), ("right", slice(half_x, None))):
            value = pixels[rows, columns].mean()
            assert value > 180 if f"{vertical} {horizontal}" == bright else value < 70


@pytest.mark.parametrize("length", [0, 4, 30, 200, 400, 600])
def test_a_damaged_header_has_no_matrix(tmp_path: Path, length: int) -> None:
    whole = video_files.oriented(tmp_path / "a.mp4", 2).read_bytes()
    assert display_matrix.orientation(tmp_path / "a.mp4") == 2
    movie = whole.index(b"moov") - 4
    (tmp_path / "b.mp4").write_bytes(whole[:movie] + whole[movie : movie + length])
    assert display_matrix.orientation(tmp_path / "b.mp4") in (None, 2)
    (tmp_path / "c.mp4").write_bytes(whole[:movie] + b"\xff\xff\xff\xff" + whole[movie + 4 :])
    assert display_matrix.orientation(tmp_path / "c.mp4") in (None, 2)


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
