from __future__ import annotations

import itertools
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import Reason, Unavailable
from edged.sources.drivers.synthetic import Config, Synthetic
from edged.worker.picture_quality import Quality

if TYPE_CHECKING:
    from edged.sources import Frame


def opened(**keys: Any) -> Synthetic:
    source = Synthetic(Config(size=(64, 48), **keys))
    source.open()
    return source


def frames(source: Synthetic, count: int) -> list[Frame]:
    return [source.read(0.1) for _ in range(count)]


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others() -> None:
    one, same, other = opened(seed=7), opened(seed=7), opened(seed=8)
    for a, b, c in zip(frames(one, 3), frames(same, 3), frames(other, 3), strict=True):
        assert (a.pixels == b.pixels).all()
        assert (a.pixels != c.pixels).any()


def test_the_picture_moves_and_has_contrast() -> None:
    pictures = [frame.pixels for frame in frames(opened(), 5)]
    assert all((a != b).any() for a, b in itertools.pairwise(pictures))
    assert pictures[0].std() > 20
    assert pictures[0].flags.c_contiguous


def test_keeps_the_pace_that_was_asked_for() -> None:
    now, slept = [100.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    source = Synthetic(Config(size=(64, 48), fps=10), monotonic=lambda: now[0], sleep=sleep)
    source.open()
    assert [source.read(1).number for _ in range(3)] == [0, 1, 2]
    assert slept == pytest.approx([0.1, 0.1])
    now[0] += 0.55  # the reader was busy
    late = source.read(1)
    assert (late.number, late.skipped) == (7, 4)
    with pytest.raises(Unavailable) as caught:
        source.read(0.01)
    assert caught.value.reason is Reason.TIMEOUT


@pytest.mark.parametrize(
    ("fault", "reason"), [("black", "black"), ("garbage", "shape"), ("frozen", "frozen")]
)
def test_a_fault_is_what_quality_calls_it(fault: str, reason: str) -> None:
    source, quality = opened(fault=fault, fault_after=3), Quality()
    said = [quality.check(frame) for frame in frames(source, 15)]
    assert said[:3] == [None] * 3
    assert said[-1] == reason


def test_vanishes_and_comes_back() -> None:
    source = opened(fault="vanish", fault_after=2)
    frames(source, 2)
    with pytest.raises(Unavailable) as caught:
        source.read(0.1)
    assert caught.value.reason is Reason.LOST
    source.close()
    source.open()
    frames(source, 2)


def test_crashes_as_a_library_does() -> None:
    code = (
        "from edged.sources.drivers.synthetic import Config, Synthetic\n"
        "source = Synthetic(Config(size=(64, 48), fault='crash', fault_after=0))\n"
        "source.open()\nsource.read(1)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGABRT


def test_nobody_can_write_into_a_frame_that_others_share() -> None:
    source = opened()
    first = source.read(0.1).pixels
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 0
