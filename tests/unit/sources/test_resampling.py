from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.sources.resampling import Resampler
from unit.sources.wav_files import tone


def changed(samples: np.ndarray, given_hz: int, wanted_hz: int) -> np.ndarray:
    resampler = Resampler(given_hz, wanted_hz)
    return np.concatenate([resampler.add(samples.astype(np.float32)), resampler.end()])


@pytest.mark.parametrize("given_hz", [8000, 11025, 22050, 24000, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("tone_hz", [100, 440, 3100])
def test_a_tone_stays_the_same_tone(given_hz: int, tone_hz: int) -> None:
    made = changed(tone(tone_hz, 0.5, given_hz), given_hz, 16000)
    right = tone(tone_hz, 0.5)
    assert abs(len(made) - len(right)) <= 1
    inner = slice(400, 7600)  # its ends meet silence
    assert np.abs(made[inner] - right[inner]).max() < 2e-3


@pytest.mark.parametrize("tone_hz", [9000, 12000, 20000])
def test_what_the_new_rate_cannot_hold_is_gone(tone_hz: int) -> None:
    made = changed(tone(tone_hz, 0.5, 44100), 44100, 16000)
    assert np.abs(made[400:7600]).max() < 1e-3


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 900), min_size=1, max_size=12), st.sampled_from([8000, 22050, 44100, 48000]))
def test_pieces_give_what_the_whole_gives(lengths: list[int], given_hz: int) -> None:
    samples = np.random.default_rng(1).normal(0, 0.2, sum(lengths)).astype(np.float32)
    resampler, at, parts = Resampler(given_hz, 16000), 0, []
    for length in lengths:
        parts.append(resampler.add(samples[at : at + length]))
        at += length
    parts.append(resampler.end())
    assert np.array_equal(np.concatenate(parts), changed(samples, given_hz, 16000))


def test_a_ratio_of_large_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="44101 Hz cannot be changed into 16001 Hz"):
        Resampler(44101, 16001)
