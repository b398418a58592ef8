from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.pipeline.level import QUIETEST_DBFS
from edged.sources.sound_windows import Cut, Cutter, level_dbfs
from unit.sources.wav_files import tone


def cuts(lengths: list[int], steps: int, hop: int) -> tuple[list[Cut], list[Cut]]:
    samples = np.arange(sum(lengths), dtype=np.float32)
    cutter, at, found = Cutter(steps, hop, 1.0), 0, []
    for length in lengths:
        found += cutter.add(samples[at : at + length])
        at += length
    return found, cutter.rest()


@given(st.lists(st.integers(0, 50), max_size=20), st.integers(1, 30), st.integers(1, 40))
def test_windows_are_cut_alike_whatever_the_pieces(lengths: list[int], steps: int, hop: int) -> None:
    found, rest = cuts(lengths, steps, hop)
    total = sum(lengths)
    firsts = list(range(0, total - steps + 1, hop))
    assert [cut.values[0, 0] for cut in found] == firsts
    assert all(cut.values.shape == (steps, 1) for cut in [*found, *rest])
    assert [cut.ends_s for cut in found] == [first + steps for first in firsts]
    assert [cut.begins for cut in found] == [number == 0 or hop != steps for number in range(len(found))]
    assert len(rest) <= 1


def test_the_end_is_filled_up_with_silence_where_no_window_has_it() -> None:
    assert [cut.values[:, 0].tolist() for cut in cuts([3], 4, 2)[1]] == [[0, 1, 2, 0]]
    assert [cut.values[:, 0].tolist() for cut in cuts([6], 4, 4)[1]] == [[4, 5, 0, 0]]
    assert cuts([4], 4, 2)[1] == []
    assert cuts([0], 4, 2)[1] == []
    assert cuts([17], 16, 8)[1] == [], "one sample more is not worth a window"


def test_no_window_spans_a_gap() -> None:
    cutter = Cutter(4, 4, 1.0)
    assert [cut.begins for cut in cutter.add(np.arange(10, dtype=np.float32))] == [True, False]
    cutter.gap()
    (cut,) = cutter.add(np.arange(100, 106, dtype=np.float32))
    assert (cut.values[:, 0].tolist(), cut.begins) == ([100, 101, 102, 103], True)


@pytest.mark.parametrize(
    ("samples", "level"),
    [
        (np.ones(1000), QUIETEST_DBFS),  # an offset is not sound
        (np.zeros(1000), QUIETEST_DBFS),
        (np.zeros(0), QUIETEST_DBFS),
        (np.tile([1.0, -1.0], 500), 0.0),
        (tone(440, 1, volume=1.0), -3.0),
        (tone(440, 1, volume=0.1), -23.0),
        (tone(440, 1, volume=0.1) + 0.3, -23.0),
    ],
)
def test_the_level_is_the_effective_value(samples: np.ndarray, level: float) -> None:
    assert level_dbfs(samples.astype(np.float32)) == pytest.approx(level, abs=0.05)
