"""Changes the sample rate of sound, in numpy alone: a polyphase filter (windowed sinc).

A sample of the output at the time t is the sum of the input's samples around t, weighted by a low-pass filter
that is shifted by the part of a sample that t lies between two of them. There are as many shifts as the ratio
of the rates has: 160 from 44,100 to 16,000 Hz, 1 from 48,000. Their weights are computed once.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

_ZEROS = 16  # zero crossings of the filter on each side
_BETA = 9.0  # of the Kaiser window: 90 dB
_PASSED = 0.92  # of the lower rate's half: the rest is for the filter to fall in
_MOST_WEIGHTS = 500_000
_AT_ONCE = 4096  # samples of the output, to bound the memory


class Resampler:
    """Changes the rate of a stream that comes in pieces of any length; for one stream.

    Args:
        given_hz: the rate of the input.
        wanted_hz: the rate of the output.

    Raises:
        ValueError: the rates have no ratio of small numbers.
    """

    def __init__(self, given_hz: int, wanted_hz: int) -> None:
        common = math.gcd(given_hz, wanted_hz)
        self._up, self._down = wanted_hz // common, given_hz // common
        cut = _PASSED * min(1.0, self._up / self._down)  # of half the input's rate
        self._half = math.ceil(_ZEROS / cut)
        if self._up * 2 * self._half > _MOST_WEIGHTS:
            raise ValueError(f"{given_hz} Hz cannot be changed into {wanted_hz} Hz: their ratio is too odd")
        shifts = np.arange(self._up)[:, None] / self._up
        at = np.arange(1 - self._half, self._half + 1)[None] - shifts
        weights = cut * np.sinc(cut * at) * _kaiser(at / self._half)
        self._weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
        self._rest = np.zeros(self._half - 1, np.float32)  # silence before the first sample
        self._next = 0  # of the output, in 1/up samples from the place where ``rest`` begins

    def add(self, samples: Samples) -> Samples:
        """Take the next samples; return those of the output that they complete."""
        return self._take(np.concatenate([self._rest, samples]))

    def end(self) -> Samples:
        """Return the last samples, as if silence followed."""
        return self.add(np.zeros(self._half, np.float32))

    def _take(self, given: Samples) -> Samples:
        span = 2 * self._half
        made = []
        if len(given) >= span:
            windows = np.lib.stride_tricks.sliding_window_view(given, span)
            last = len(windows) * self._up  # one after the last place that is complete
            places = np.arange(self._next, last, self._down)
            for first in range(0, len(places), _AT_ONCE):
                whole, shift = np.divmod(places[first : first + _AT_ONCE], self._up)
                made.append(np.einsum("ij,ij->i", windows[whole], self._weights[shift]))
            if len(places):
                self._next = int(places[-1]) + self._down
        used = min(self._next // self._up, len(given))
        self._rest = given[used:].copy()
        self._next -= used * self._up
        return np.concatenate(made) if made else np.zeros(0, np.float32)


def _kaiser(at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Kaiser window at places from -1 to 1; 0 outside."""
    inside = np.sqrt(np.clip(1 - at * at, 0, None))
    return np.where(np.abs(at) <= 1, np.i0(_BETA * inside) / np.i0(_BETA), 0.0)
