"""Recordings in their own time: nobody waits, and nothing depends on the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from edged import sources
from edged.config.source import SOURCES
from edged.errors import Reason, Unavailable
from edged.sources import Hint
from edged.sources.replay import RecordedTime
from unit.sources.video_files import timed

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import Frame


def pictures(**keys: Any) -> list[tuple[Frame, float]]:
    """Return all pictures of a recording, with their times."""
    config, clock = SOURCES.read(keys), RecordedTime()
    source = sources.load(config.kind).recorded(config, Hint(), clock)
    source.open()
    found: list[tuple[Frame, float]] = []

    def read_all() -> None:
        while True:
            found.append((source.read(1.0), clock.now()))

    with pytest.raises(Unavailable) as ended:
        read_all()
    assert ended.value.reason is Reason.ENDED
    source.close()
    source.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n, name in enumerate(("a.png", "b.png", "c.png")):
        cv2.imwrite(str(tmp_path / name), np.full((48, 64, 3), 40 * n, np.uint8))
    return tmp_path


def test_photographs_are_an_interval_apart(folder: Path) -> None:
    began = time.monotonic()
    found = pictures(kind="folder", path=folder, loop=False, interval_s=3600)
    assert [(frame.name, at_s) for frame, at_s in found] == [("a.png", 0), ("b.png", 3600), ("c.png", 7200)]
    assert time.monotonic() - began < 60


def test_of_a_video_the_frame_is_given_that_comes_after_each_interval(tmp_path: Path) -> None:
    path = timed(tmp_path / "v.mkv", (0, 0.4, 1.1, 1.2, 2.5, 2.6, 4.0))
    found = pictures(kind="video", url=str(path), interval_s=1)
    assert [(frame.name, round(at_s, 2)) for frame, at_s in found] == [
        ("00:00.00", 0),
        ("00:01.10", 1.1),
        ("00:02.50", 2.5),
        ("00:04.00", 4.0),
    ]
    values = [round(float(frame.pixels.mean()), -1) for frame, _ in found]
    assert values == [20, 60, 100, 140], "each picture is that of its time"


def test_with_interval_0_every_frame_is_given(tmp_path: Path) -> None:
    path = timed(tmp_path / "v.mkv", (0, 0.4, 1.1, 61.2))
    found = pictures(kind="video", url=f"file://{path}", interval_s=0, realtime=True)
    assert [frame.name for frame, _ in found] == ["00:00.00", "00:00.40", "00:01.10", "01:01.20"]


def test_time_passes_by_itself_only_where_somebody_waits_and_never_goes_back() -> None:
    clock = RecordedTime()
    clock.reach(5)
    clock.sleep(1)
    clock.reach(2)
    assert clock.now() == 6


def test_a_file_that_is_gone_is_a_sentence(tmp_path: Path) -> None:
    config = SOURCES.read({"kind": "video", "url": str(tmp_path / "v.mkv")})
    source = sources.load("video").recorded(config, Hint(), RecordedTime())
    with pytest.raises(Unavailable, match="not open"):
        source.read(1)
    with pytest.raises(Unavailable, match="there is no file"):
        source.open()
    source.close()
