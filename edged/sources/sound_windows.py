"""Cuts a stream of sound into windows, and measures how loud each is. Pure: no clock, no device."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUIETEST_DBFS = -120.0  # silence


class Cut(NamedTuple):
    """A window of sound.

    Attributes:
        values: float32, ``[steps, 1]``, -1..1.
        level_dbfs: how loud it is; see :func:`level_dbfs`.
        begins: it does not go on where the window before it ended.
        ends: the number of samples from the start of the stream to its end.
    """

    values: NDArray[np.float32]
    level_dbfs: float
    begins: bool
    ends: int


class Cutter:
    """Cuts windows of equal length, one every ``hop`` samples.

    Args:
        steps: samples in a window.
        hop: samples from the beginning of a window to that of the next.
    """

    def __init__(self, steps: int, hop: int) -> None:
        self._steps, self._hop = steps, hop
        self._kept: NDArray[np.float32] = np.zeros(0, np.float32)
        self._skip = 0  # samples that lie between two windows, where the hop is longer than a window
        self._at = 0  # of the stream: where ``kept`` begins
        self._ended = -1  # of the stream: where the window before ended

    def add(self, samples: NDArray[np.float32]) -> list[Cut]:
        """Take the next samples; return the windows that they complete, oldest first."""
        kept = np.concatenate([self._kept, samples]) if len(self._kept) else samples
        first, made = self._skip, []
        while first + self._steps <= len(kept):
            made.append(self._cut(kept[first : first + self._steps], self._at + first))
            first += self._hop
        used = min(first, len(kept))
        self._kept = kept[used:].copy()
        self._at += used
        self._skip = first - used
        return made

    def rest(self) -> list[Cut]:
        """Return the window with the stream's end, filled up with silence, where that end is in none yet."""
        first = self._skip
        new = self._at + len(self._kept) - max(self._ended, self._at + first)
        if new <= 0 or (self._ended >= 0 and 2 * new < min(self._hop, self._steps)):
            return []
        filled = np.zeros(self._steps, np.float32)
        part = self._kept[first:]
        filled[: len(part)] = part
        return [self._cut(filled, self._at + first)]

    def gap(self) -> None:
        """Note that samples are missing here: no window spans the place."""
        self._at += len(self._kept) + self._steps  # so that the next one begins anew
        self._kept, self._skip = np.zeros(0, np.float32), 0

    def _cut(self, part: NDArray[np.float32], at: int) -> Cut:
        begins, self._ended = at != self._ended, at + self._steps
        values = part.reshape(-1, 1).copy()
        return Cut(values, level_dbfs(part), begins, self._ended)


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Return how loud sound is, in dBFS: the effective value without its mean; 0 is a full square wave.

    A sine at full scale has -3.0, silence :data:`QUIETEST_DBFS`. A constant offset, as cheap sound cards have
    it, does not count.
    """
    if not len(samples):
        return QUIETEST_DBFS
    power = float(np.dot(samples, samples)) / len(samples) - float(samples.mean(dtype=np.float64)) ** 2
    return max(QUIETEST_DBFS, 10 * math.log10(max(power, 1e-12)))
