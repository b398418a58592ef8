from __future__ import annotations

import time

import pytest

from edged.system import clock


@pytest.mark.parametrize(
    ("now", "stamp", "ago"),
    [
        (1000.0, 999.5, 0.5),
        (1000.0, 1000.0, 0.0),
        (1000.0, 990.5, 9.5),
        (1000.0, 989.0, 0.0),  # too long ago for a frame
        (1000.0, 1000.5, 0.0),  # not yet
        (5.0, 0.0, 0.0),  # no stamp at all, soon after the boot
    ],
)
def test_a_stamp_of_the_monotonic_clock_becomes_wall_time(
    now: float, stamp: float, ago: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: now)
    monkeypatch.setattr(time, "time", lambda: 1.7e9)
    assert clock.wall_at(stamp) == pytest.approx(1.7e9 - ago)
