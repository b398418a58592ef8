"""Cuts a stream of sound into windows, and measures how loud each is. Pure: no clock, no device."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edged.pipeline.level import QUIETEST_DBFS, dbfs
from edged.sources.keyword_features import KeywordFeatures
from edged.sources.sound_config import FEATURES_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edged.sources import Hint
    from edged.sources.sound_config import SoundConfig


class Cut(NamedTuple):
    """A window of sound.

    Attributes:
        values: float32, ``[steps, channels]``: samples, -1..1, or features.
        level_dbfs: how loud it is; see :func:`level_dbfs`.
        begins: it does not go on where the window before it ended.
        ends_s: the time from the start of the stream to its end, in s.
    """

    values: NDArray[np.float32]
    level_dbfs: float
    begins: bool
    ends_s: float


class Cutter:
    """Cuts windows of equal length, one every ``hop`` rows; a row is a sample, or the features of a moment.

    Args:
        steps: rows in a window.
        hop: rows from the beginning of a window to that of the next.
        row_s: the time from one row to the next, in s.
        features: makes rows of samples: each is followed by its power; None: the samples are the rows.
    """

    def __init__(self, steps: int, hop: int, row_s: float, features: KeywordFeatures | None = None) -> None:
        self._steps, self._hop, self._row_s = steps, hop, row_s
        self._features = features
        self._kept: NDArray[np.float32] = self._rows(np.zeros(0, np.float32))
        self._skip = 0  # rows that lie between two windows, where the hop is longer than a window
        self._at = 0  # of the stream: where ``kept`` begins
        self._ended = -1  # of the stream: where the window before ended

    def add(self, samples: NDArray[np.float32]) -> list[Cut]:
        """Take the next samples; return the windows that they complete, oldest first."""
        rows = self._rows(samples)
        kept = np.concatenate([self._kept, rows]) if len(self._kept) else rows
        first, made = self._skip, []
        while first + self._steps <= len(kept):
            made.append(self._cut(kept[first : first + self._steps], self._at + first))
            first += self._hop
        used = min(first, len(kept))
        self._kept = kept[used:].copy()
        self._at += used
        self._skip = first - used
        return made

    @property
    def came_s(self) -> float:
        """The time of the stream so far, in s."""
        return (self._at + len(self._kept)) * self._row_s

    def rest(self) -> list[Cut]:
        """Return the window with the stream's end, filled up with silence, where that end is in none yet."""
        first = self._skip
        new = self._at + len(self._kept) - max(self._ended, self._at + first)
        if new <= 0 or (self._ended >= 0 and 2 * new < min(self._hop, self._steps)):
            return []
        part = self._kept[first:]
        filled = np.zeros((self._steps, part.shape[1]), np.float32)
        filled[: len(part)] = part
        return [self._cut(filled, self._at + first)]

    def gap(self) -> None:
        """Note that samples are missing here: no window spans the place."""
        self._at += len(self._kept) + self._steps  # so that the next one begins anew
        self._kept, self._skip = self._kept[:0], 0

    def _rows(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        return samples.reshape(-1, 1) if self._features is None else self._features.add(samples)

    def _cut(self, part: NDArray[np.float32], at: int) -> Cut:
        begins, self._ended = at != self._ended, at + self._steps
        if self._features is None:
            values, level = part.copy(), level_dbfs(part[:, 0])
        else:
            values, level = part[:, :-1].copy(), dbfs(float(part[:, -1].mean()))
        return Cut(values, level, begins, self._ended * self._row_s)


def cutter(config: SoundConfig, hint: Hint) -> Cutter:
    """Return what cuts a source's sound into windows.

    Args:
        config: the source's configuration.
        hint: has the length of the model's input.
    """
    steps, hop = config.lengths(hint)
    if config.features == "none":
        return Cutter(steps, hop, config.row_s)
    return Cutter(steps, hop, config.row_s, KeywordFeatures(round(config.feature_step_s / FEATURES_S)))


def level_dbfs(samples: NDArray[np.float32]) -> float:
    """Return how loud sound is, in dBFS: the effective value without its mean; 0 is a full square wave.

    A sine at full scale has -3.0, silence -120. A constant offset, as cheap sound cards have it, does not
    count.
    """
    if not len(samples):
        return QUIETEST_DBFS
    mean = float(samples.mean(dtype=np.float64))
    return dbfs(float(np.dot(samples, samples)) / len(samples) - mean**2)
