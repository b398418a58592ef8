"""Turns sound into the 40 numbers every 10 ms that keyword models want: TensorFlow Lite Micro's front end.

::

    480 samples ─▶ Hann ─▶ spectrum ─▶ 40 mel bands ─▶ less its noise ─▶ gain control ─▶ logarithm

Each band is followed by an estimate of its noise, which is subtracted and controls the gain; so the numbers
depend on what was heard before, and a stream begins with an estimate of nothing. The steps and constants are
those of microWakeWord and micro_speech. These compute in integers, whose rounding is louder than nothing:
bands in which nothing is heard beside a pure tone differ. Beside pymicro-features 2.0.2, scores of
micro_speech and of four wake words differed by .02 at most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ, CHANNELS, STEP_S = 16000, 40, 0.01
_WINDOW, _HOP, _SPECTRUM = 480, 160, 512
_LOWEST_HZ, _HIGHEST_HZ = 125.0, 7500.0
_ONE = 1 << 12  # 1.0 of the weights
_FULL = 1 << 15  # full scale, as integers
_SMOOTHING = (0.025, 0.06)  # of the noise, in even and odd bands
_LEAST_LEFT = 0.05  # of a band, whatever its noise
_ESTIMATE_BITS, _ESTIMATE_STEPS = 10, 1 << 14
_GAIN_BITS, _GAIN_OFFSET, _GAIN_POWER, _GAIN_LARGEST = 21, 80.0, -0.95, 32767.0
_SCALE = 10 / 256  # of the integers that the original gives

Rows = NDArray[np.float64]


class KeywordFeatures:
    """Makes features of a stream; for one stream.

    Args:
        every: give each row, or only the second, third …; all of them shape the noise.
    """

    def __init__(self, every: int = 1) -> None:
        hann = 0.5 - 0.5 * np.cos(2 * np.pi / _WINDOW * (np.arange(_WINDOW) + 0.5))
        self._hann = np.floor(hann * _ONE + 0.5) / _ONE
        self._bands = _mel_bands()
        steps = [int(part * _ESTIMATE_STEPS) / _ESTIMATE_STEPS for part in _SMOOTHING]
        self._smoothing = np.resize(steps, CHANNELS)
        self._every, self._next = every, 0
        self._noise = np.zeros(CHANNELS)
        self._rest = np.zeros(0)

    def add(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take the next samples, -1..1; return the rows that they complete.

        Returns:
            ``[n, 41]``: 40 features, and the power of the row's own 10 ms, 0..1.
        """
        given = np.concatenate([self._rest, samples * np.float64(_FULL)])
        count = max(0, (len(given) - _WINDOW) // _HOP + 1)
        self._rest = given[count * _HOP :]
        if not count:
            return np.zeros((0, CHANNELS + 1), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(given, _WINDOW)[: count * _HOP : _HOP]
        spectrum = np.fft.rfft(np.floor(frames * self._hann), _SPECTRUM, axis=1) / _SPECTRUM
        energy = spectrum.real**2 + spectrum.imag**2
        heard = np.floor(np.sqrt(energy @ self._bands))
        kept = np.stack([self._less_noise(row) for row in heard])
        rows = np.empty((count, CHANNELS + 1), np.float32)
        rows[:, :CHANNELS] = _logarithm(kept)
        rows[:, CHANNELS] = np.var(frames[:, -_HOP:], axis=1) / _FULL**2
        chosen = rows[self._next :: self._every]
        self._next = (self._next - count) % self._every
        return chosen

    def _less_noise(self, heard: Rows) -> Rows:
        """Return one row less its noise, with controlled gain."""
        raised = heard * (1 << _ESTIMATE_BITS)
        self._noise = np.floor(raised * self._smoothing + self._noise * (1 - self._smoothing))
        left = np.floor((raised - np.minimum(self._noise, raised)) / (1 << _ESTIMATE_BITS))
        left = np.maximum(left, np.floor(heard * _LEAST_LEFT))
        gain = 2.0**_GAIN_BITS * (self._noise / 128 + _GAIN_OFFSET) ** _GAIN_POWER
        ratio = np.floor(left * np.minimum(np.floor(gain + 0.5), _GAIN_LARGEST) / 64)
        return np.where(ratio < 2 * _ONE, np.floor(ratio * ratio / 2**20), np.floor(ratio / 64) - 64)


def _logarithm(rows: Rows) -> Rows:
    raised = rows * 8
    return np.where(raised > 1, np.floor(np.log(np.maximum(raised, 1.0)) * 64 + 0.5) * _SCALE, 0.0)


def _mel(hz: float) -> float:
    return float(1127.0 * np.log1p(hz / 700.0))


def _mel_bands() -> Rows:
    """Return the weights of the bands, ``[257, 40]``: triangles that overlap by half."""
    bin_hz = RATE_HZ / _SPECTRUM
    low, high = _mel(_LOWEST_HZ), _mel(_HIGHEST_HZ)
    edges = low + (high - low) / (CHANNELS + 1) * np.arange(CHANNELS + 2)
    weights = np.zeros((_SPECTRUM // 2 + 1, CHANNELS + 2))
    for at in range(int(1.5 + _LOWEST_HZ / bin_hz), len(weights)):
        mel = _mel(at * bin_hz)
        above = int(np.searchsorted(edges[1:], mel)) + 1  # the first edge that is not below
        if above > CHANNELS + 1:
            break
        falling = (edges[above] - mel) / (edges[above] - edges[above - 1])
        weights[at, above - 1] = np.floor(falling * _ONE + 0.5)
        weights[at, above] = np.floor((1 - falling) * _ONE + 0.5)
    return weights[:, 1 : CHANNELS + 1]
