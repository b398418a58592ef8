from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.sources.drivers.sensors import Config
from edged.sources.windowing import TimedWindow, Windows


def grid(**keys: Any) -> Config:
    return Config(**{"channels": ("x",), "window": 5, "hop": 2, "step_s": 1.0, "max_gap_s": 3.0, **keys})


def feed(windows: Windows, *readings: tuple[str, float, float]) -> list[TimedWindow]:
    return [made for channel, value, at in readings for made in windows.add(channel, value, at)]


def line(*times: float) -> list[tuple[str, float, float]]:
    return [("x", 10 * at, at) for at in times]


def test_a_window_is_a_grid_over_the_readings() -> None:
    made = feed(Windows(grid()), *line(*range(10)))
    assert [window.values[:, 0].tolist() for window in made] == [
        [0, 10, 20, 30, 40],
        [20, 30, 40, 50, 60],
        [40, 50, 60, 70, 80],
    ]
    assert [window.ends_at for window in made] == [4, 6, 8]
    assert made[0].values.dtype == np.float32
    assert made[0].values.shape == (5, 1)


def test_readings_between_the_steps_are_on_the_line() -> None:
    made = feed(Windows(grid(hop=5)), *line(0, 0.4, 1.7, 2.2, 3.9, 4.1))
    assert made[0].values[:, 0] == pytest.approx([0, 10, 20, 30, 40])


def test_channels_begin_together_and_wait_for_each_other() -> None:
    windows = Windows(grid(channels=("x", "air/co2"), hop=5))
    assert feed(windows, *line(0, 1, 2, 3, 4, 5, 6, 7)) == []
    made = feed(windows, *[("air/co2", 100.0, at) for at in (2.0, 4.0, 6.0)], ("lux", 1.0, 6.0))
    assert len(made) == 1
    assert made[0].values.tolist() == [[10 * at, 100] for at in (2, 3, 4, 5, 6)]


def test_normalisation_by_channel() -> None:
    made = feed(
        Windows(grid(channels=("x", "y"), window=2, mean=(10, 1), std=(10, 2))),
        ("x", 10, 0), ("y", 1, 0), ("x", 20, 1), ("y", 5, 1),
    )  # fmt: skip
    assert made[0].values.tolist() == [[0, 0], [1, 2]]


def test_no_window_goes_over_a_hole() -> None:
    windows = Windows(grid())
    made = feed(windows, *line(0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15))
    assert [(window.ends_at - 4, window.ends_at) for window in made] == [(0, 4), (10, 14)]
    assert windows.gaps == 4, "those that would begin at 2, 4, 6 and 8"


def test_a_long_hole_is_left_in_one_step() -> None:
    windows = Windows(grid(step_s=0.001, max_gap_s=1.0))
    feed(windows, *line(0, 0.5, 1e6, 1e6 + 0.5))
    assert windows.gaps > 4e8


def test_what_comes_late_or_is_no_number_is_not_used() -> None:
    windows = Windows(grid())
    made = feed(
        windows, *line(0, 1, 2), ("x", 1e9, 1.5), ("x", 1e9, 2), ("x", float("nan"), 2.5), *line(3, 4)
    )
    assert made[0].values[:, 0].tolist() == [0, 10, 20, 30, 40]
    assert windows.late == 2


@pytest.mark.parametrize(
    "keys",
    [
        {"window": 0},
        {"hop": 0},
        {"step_s": 0.0},
        {"max_gap_s": 0.5},
        {"mean": (1.0, 2.0)},
        {"std": (1.0, 2.0)},
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"window|hop|step_s|at least one sample|one number for each"):
        grid(**keys)


@given(
    st.lists(st.floats(0.05, 4.0), min_size=2, max_size=80),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_a_straight_line_stays_one_and_no_window_has_a_hole(
    gaps: list[float], steps: int, hop: int, step_s: float
) -> None:
    times = np.cumsum(gaps).tolist()
    windows = Windows(grid(window=steps, hop=hop, step_s=step_s, max_gap_s=2.5))
    made = feed(windows, *line(*times))
    for window in made:
        begins = window.ends_at - (steps - 1) * step_s
        expected = 10 * (begins + step_s * np.arange(steps))
        assert window.values[:, 0] == pytest.approx(expected, abs=1e-3)
        inside = [t for t in times if begins < t < window.ends_at]
        around = [
            max(t for t in times if t <= begins + 1e-6),
            *inside,
            min(t for t in times if t >= window.ends_at - 1e-6),
        ]
        assert max(np.diff(around), default=0) <= 2.5 + 1e-6
    for one, other in itertools.pairwise(window.ends_at for window in made):
        hops = (other - one) / (hop * step_s)
        assert hops == pytest.approx(round(hops))
    if max(gaps[1:]) <= 2.5:
        room = times[-1] - times[0] - (steps - 1) * step_s
        assert len(made) == (int(room / (hop * step_s) + 1e-6) + 1 if room >= -1e-9 else 0)
        assert windows.gaps == 0


def test_a_silent_channel_lets_nothing_pile_up() -> None:
    windows = Windows(grid(channels=("x", "y")))
    feed(windows, *line(*range(5000)))
    assert len(windows._series["x"].times) < 20
    feed(windows, ("y", 0.0, 5000.0), *line(5000))
    feed(windows, *[(channel, 1.0, float(at)) for at in range(5001, 10000) for channel in ("x",)])
    assert len(windows._series["x"].times) < 20
    made = feed(windows, *[(channel, 2.0, float(at)) for at in range(10000, 10010) for channel in ("x", "y")])
    assert [window.values.tolist() for window in made] == [[[2.0, 2.0]] * 5] * len(made)
    assert made
