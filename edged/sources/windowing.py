"""Windows of readings: a grid of equal steps, ``[steps, channels]``, without gaps.

Each sensor is read at its own times. Here the values are interpolated linearly onto a common grid. Two
readings that are further apart than ``gap_s`` are not connected, and no window spans such a gap. Pure: times
are passed in. They are monotonic, so that setting the clock causes neither a gap nor a jump.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_EPSILON = 1e-9  # of a step: 0.1 + 0.2 is on the grid


class Grid(Protocol):
    """The rules by which readings become windows; the configuration of ``kind: sensors`` has them."""

    @property
    def channels(self) -> tuple[str, ...]:
        """The sensors, ``name`` or ``name/channel``, in the model's order."""

    @property
    def steps(self) -> int:
        """Samples in a window, at least 1."""

    @property
    def hop_steps(self) -> int:
        """Samples between the beginnings of two windows, at least 1."""

    @property
    def step_s(self) -> float:
        """Time between two samples, in s."""

    @property
    def gap_s(self) -> float:
        """Two readings further apart than this are not connected; at least one step, in s."""

    @property
    def mean(self) -> tuple[float, ...]:
        """Of each channel, as the model was trained; empty: 0."""

    @property
    def std(self) -> tuple[float, ...]:
        """Of each channel, as the model was trained; empty: 1."""


@dataclass(frozen=True)
class TimedWindow:
    """One window.

    Attributes:
        values: float32, ``[steps, channels]``, normalised.
        ends_at: monotonic time of its last sample, in s.
    """

    values: NDArray[np.float32]
    ends_at: float


class Windows:
    """Makes windows of readings.

    Attributes:
        gaps: windows that were left out because of a gap.
        late: readings that were left out because a newer one had come.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._series = {channel: _Series() for channel in grid.channels}
        self._begins: float | None = None  # time of the next window's first sample
        self._scale = 1 / np.asarray(grid.std or [1.0] * len(grid.channels), np.float64)
        self._mean = np.asarray(grid.mean or [0.0] * len(grid.channels), np.float64)
        self.gaps = 0
        self.late = 0

    @property
    def began(self) -> bool:
        """Return whether each channel has given a reading."""
        return self._begins is not None

    def add(self, channel: str, value: float, at: float) -> list[TimedWindow]:
        """Take a good reading; return the windows that it completes, oldest first.

        Args:
            channel: the channel; one that is not in the grid is ignored.
            value: a finite number.
            at: monotonic time of the measurement, in s.
        """
        series = self._series.get(channel)
        if series is None or not math.isfinite(value):
            return []
        if series.times and at <= series.times[-1]:
            self.late += 1
            return []
        series.add(at, value)
        made = self._complete()
        self._forget()
        return made

    def _complete(self) -> list[TimedWindow]:
        every = self._series.values()
        if any(not series.times for series in every):
            return []
        grid = self._grid
        if self._begins is None:
            self._begins = max(series.times[0] for series in every)
        newest = min(series.times[-1] for series in every)
        length, slack = (grid.steps - 1) * grid.step_s, _EPSILON * grid.step_s
        made = []
        while self._begins + length <= newest + slack:
            begins, ends = self._begins, self._begins + length
            hole_ends = max(series.hole(begins, ends, grid.gap_s, slack) for series in every)
            if hole_ends > -math.inf:
                self._skip(hole_ends)
            else:
                made.append(self._window(ends))
                self._begins = begins + grid.hop_steps * grid.step_s
        return made

    def _skip(self, hole_ends: float) -> None:
        """Continue behind a gap, on the same grid of hops."""
        begins, hop_s = self._begins or 0.0, self._grid.hop_steps * self._grid.step_s
        hops = max(1, math.ceil((hole_ends - begins) / hop_s - _EPSILON))
        self.gaps += hops
        self._begins = begins + hops * hop_s

    def _window(self, ends: float) -> TimedWindow:
        grid = self._grid
        times = ends - grid.step_s * np.arange(grid.steps - 1, -1, -1, dtype=np.float64)
        columns = [series.at(times) for series in self._series.values()]
        values = (np.stack(columns, axis=1) - self._mean) * self._scale
        return TimedWindow(values.astype(np.float32), ends)

    def _forget(self) -> None:
        """Drop readings that no further window needs: all but the last before its beginning.

        While a channel is silent, no window begins before its next reading, and the others do not accumulate.
        """
        grid, every = self._grid, self._series.values()
        needed = -math.inf if self._begins is None else self._begins
        newest = max(series.times[-1] for series in every if series.times)
        if any(not series.times or newest - series.times[-1] > grid.gap_s for series in every):
            needed = max(needed, newest - grid.gap_s - grid.steps * grid.step_s)
        for series in every:
            while len(series.times) > 1 and series.times[1] <= needed:
                series.times.popleft()
                series.values.popleft()


class _Series:
    """The readings of one channel that are still needed."""

    def __init__(self) -> None:
        self.times: deque[float] = deque()
        self.values: deque[float] = deque()

    def add(self, at: float, value: float) -> None:
        self.times.append(at)
        self.values.append(value)

    def hole(self, begins: float, ends: float, most_s: float, slack: float) -> float:
        """Return the end of the last gap within a time span; -infinity where there is none."""
        times = list(self.times)
        if times[0] > begins + slack:
            return times[0]
        first = max(0, bisect.bisect_right(times, begins) - 1)
        last = -math.inf
        for before, after in zip(times[first:], times[first + 1 :], strict=False):
            if before >= ends - slack:
                break
            if after - before > most_s + slack:
                last = after
        return last

    def at(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the values at these times, interpolated linearly between the readings."""
        return np.interp(times, np.asarray(self.times), np.asarray(self.values))
