"""Readings over time as a model wants them: a grid of equal steps, ``[steps, channels]``, without holes.

Each sensor is read at its own times. Here the values are put on a common grid, by straight lines between two
readings; where two are further apart than ``max_gap_s`` there is no line, and no window goes over it. Pure:
times come in. They are monotonic, so that a clock that is set makes neither a hole nor a jump.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EPSILON = 1e-9  # of a step: 0.1 + 0.2 is on the grid


@dataclass(frozen=True)
class Grid:
    """How readings become windows.

    Attributes:
        channels: the sensors, ``name`` or ``name/channel``, in the model's order.
        steps: samples in a window.
        hop: samples between the beginnings of two windows.
        step_s: time between two samples, in s.
        max_gap_s: two readings further apart than this are not connected.
        mean, std: of each channel, as the model was trained; empty: left as they are.
    """

    channels: tuple[str, ...]
    steps: int
    hop: int
    step_s: float
    max_gap_s: float
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if getattr(self, name) and len(getattr(self, name)) != len(self.channels):
                raise ValueError(f"{name} needs one number for each of {len(self.channels)} channels")
        if self.steps < 1 or self.hop < 1 or not self.step_s > 0 or self.max_gap_s < self.step_s:
            raise ValueError("steps and hop are at least 1, and max_gap_s is at least one step")


@dataclass(frozen=True)
class Window:
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
        gaps: windows that were left out because of a hole.
        late: readings that were left out because a newer one was there.
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
        """Whether each channel has given a reading."""
        return self._begins is not None

    def add(self, channel: str, value: float, at: float) -> list[Window]:
        """Take a good reading; return the windows that it completes, oldest first.

        Args:
            channel: whose; others than the grid's are not used.
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

    def _complete(self) -> list[Window]:
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
            hole_ends = max(series.hole(begins, ends, grid.max_gap_s, slack) for series in every)
            if hole_ends > -math.inf:
                self._skip(hole_ends)
            else:
                made.append(self._window(ends))
                self._begins = begins + grid.hop * grid.step_s
        return made

    def _skip(self, hole_ends: float) -> None:
        """Go on, on the same grid of hops, behind a hole."""
        begins, hop_s = self._begins or 0.0, self._grid.hop * self._grid.step_s
        hops = max(1, math.ceil((hole_ends - begins) / hop_s - _EPSILON))
        self.gaps += hops
        self._begins = begins + hops * hop_s

    def _window(self, ends: float) -> Window:
        grid = self._grid
        times = ends - grid.step_s * np.arange(grid.steps - 1, -1, -1, dtype=np.float64)
        columns = [series.at(times) for series in self._series.values()]
        values = (np.stack(columns, axis=1) - self._mean) * self._scale
        return Window(values.astype(np.float32), ends)

    def _forget(self) -> None:
        """Drop readings that no further window needs: all but the last before its beginning.

        While a channel is silent no window begins before it speaks again, and the others do not pile up.
        """
        grid, every = self._grid, self._series.values()
        needed = -math.inf if self._begins is None else self._begins
        newest = max(series.times[-1] for series in every if series.times)
        if any(not series.times or newest - series.times[-1] > grid.max_gap_s for series in every):
            needed = max(needed, newest - grid.max_gap_s - grid.steps * grid.step_s)
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
        """Return where the last hole in a stretch ends; -infinity where there is none."""
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
        """Return the values at some times, on straight lines between the readings."""
        return np.interp(times, np.asarray(self.times), np.asarray(self.values))


def tensor(
    window: NDArray[np.float32], shape: Sequence[int], dtype: str, scale: float, zero_point: int
) -> NDArray[np.generic]:
    """Return a window as a model's input: ``[1, T, C]`` or ``[1, T * C]``, float32 or quantised.

    Args:
        window: ``[T, C]``.
        shape: of the model's input.
        dtype: its type: float32, int8 or uint8.
        scale: of its quantisation; unused for float32.
        zero_point: of its quantisation; unused for float32.

    Raises:
        ValueError: the window has not as many values as the input.
    """
    if window.size != math.prod(shape):
        raise ValueError(
            f"a window of {window.shape[0]} steps and {window.shape[1]} channels is no {list(shape)}"
        )
    if dtype == "float32":
        return window.reshape(shape)
    stored = np.iinfo(np.dtype(dtype))
    quantised = np.clip(np.round(window / scale) + zero_point, stored.min, stored.max)
    stored_values: NDArray[np.generic] = quantised.astype(dtype).reshape(shape)
    return stored_values
