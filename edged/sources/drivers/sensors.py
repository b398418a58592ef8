"""Readings of sensors over time, cut into windows for a model or for a task without a model.

::

    readings page ──RingReader─▶ Windows ─▶ windows that wait ─▶ one at a time, oldest first
                    every reading           the oldest are dropped where the model does not keep up

The readings never pass through the process with the network: the sensor worker keeps them on the readings
page, and the pipeline's worker reads them there, 50 times a second.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edged.drivers import wrong
from edged.errors import Reason, Unavailable
from edged.models.spec import Gives, SampleSpec
from edged.sources import ChannelPath, FeedSource, Followed, Hint, InputConfig, Window
from edged.sources.window_queue import WindowQueue
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.ipc.readings_ring import RingReader
    from edged.sources.windowing import TimedWindow, Windows

POLL_S = 0.02  # between two looks at the readings page
_GAPS = 3  # a sensor without a good reading for this many of the longest bridged gaps is silent
MOST_VALUES = 1_000_000  # in a window
_WHOLE = 1e-6  # how far a time may be from whole samples
_GAP = 5  # samples, where no max_gap_s is written
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=MOST_VALUES)]
Time = Annotated[float, Field(gt=0, le=864000, allow_inf_nan=False)]


class Config(InputConfig):
    """The keys of ``kind: sensors``."""

    gives: ClassVar[Gives] = "window"

    kind: Literal["sensors"] = Field(default="sensors", description="the driver: sensors")
    channels: Annotated[tuple[ChannelPath, ...], Field(min_length=1, max_length=64)] = Field(
        examples=[["vibration/x", "vibration/y"]],
        description="sensors (or sensor/channel), in the order of the model's input, even if not published",
    )
    step_s: Annotated[float, Field(ge=0.001, le=86400, allow_inf_nan=False)] = Field(
        examples=[0.02], description="time between two samples of a window, in s"
    )
    window: Count | None = Field(
        examples=[64], default=None, description="length of a window in samples; or write window_s"
    )
    window_s: Time | None = Field(default=None, description="length of a window, in s")
    hop: Count | None = Field(
        examples=[32],
        default=None,
        description="samples from the start of a window to the next; or write hop_s; default: half a window",
    )
    hop_s: Time | None = Field(default=None, description="time from the start of a window to the next, in s")
    max_gap_s: Time | None = Field(
        examples=[0.1],
        default=None,
        description="no window spans a longer gap between readings than this, in s; default: 5 samples",
    )
    mean: tuple[Finite, ...] = Field(
        examples=[[0, 0]], default=(), description="for each channel, as in training: subtract this …"
    )
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        examples=[[1, 1]], default=(), description="… then divide by this"
    )

    @property
    def sample(self) -> SampleSpec:
        """Windows of as many steps and channels as are written."""
        return SampleSpec(self.gives, self.steps, len(self.channels))

    @property
    def follows(self) -> tuple[Followed, ...]:
        """Its channels."""
        return tuple(Followed(c, self.gap_s, ("channels", n)) for n, c in enumerate(self.channels))

    @property
    def every_s(self) -> float:
        """The time from the start of a window to the next."""
        return self.hop_steps * self.step_s

    @property
    def steps(self) -> int:
        """Samples in a window."""
        return self.window or round((self.window_s or 0.0) / self.step_s)

    @property
    def hop_steps(self) -> int:
        """Samples between the beginnings of two windows."""
        return self.hop or (round(self.hop_s / self.step_s) if self.hop_s else (self.steps + 1) // 2)

    @property
    def gap_s(self) -> float:
        """The longest time between two readings that are connected, in s."""
        return self.max_gap_s or _GAP * self.step_s

    @model_validator(mode="after")
    def _lengths(self) -> Config:
        if self.window is None and self.window_s is None:
            raise wrong("write window, in samples, or window_s")
        for key in ("window", "hop"):
            if getattr(self, key) is not None and getattr(self, f"{key}_s") is not None:
                raise wrong(f"{key} and {key}_s mean the same: write only one of them", f"{key}_s")
        for key in ("window_s", "hop_s"):
            samples = (getattr(self, key) or self.step_s) / self.step_s
            if abs(samples - round(samples)) > _WHOLE * samples:
                raise wrong(f"must be a whole number of samples of {self.step_s:g} s", key)
        if self.steps * len(self.channels) > MOST_VALUES:
            raise wrong(f"a window has at most {MOST_VALUES} values", "window" if self.window else "window_s")
        if self.gap_s < self.step_s:
            raise wrong(f"must be at least one sample, {self.step_s:g} s", "max_gap_s")
        return self

    @model_validator(mode="after")
    def _channels(self) -> Config:
        for number, channel in enumerate(self.channels):
            if channel in self.channels[:number]:
                raise wrong(f"{channel} is listed twice", "channels", number)
        for key in ("mean", "std"):
            if getattr(self, key) and len(getattr(self, key)) != len(self.channels):
                raise wrong(f"write one number for each of the {len(self.channels)} channels", key)
        return self


def needs(config: Config) -> Needs:
    """Return nothing: the readings page is handed over by main."""
    del config
    return Needs()


def create(config: Config, hint: Hint) -> FeedSource:
    """Return the source; the hint has the readings page."""
    return SensorWindows(config, hint)


class SensorWindows:
    """Gives windows of the readings of some sensors.

    Attributes:
        begun: each channel has given a reading.
        dropped: ``gap``: windows with a hole; ``overrun``: readings that were overwritten before they were
            read; ``skipped``: windows for which the model had no time.
    """

    live = True

    def __init__(
        self,
        config: Config,
        hint: Hint,
        *,
        monotonic: Callable[[], float] = clock.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._page = hint.readings
        self._patience_s = max(hint.patience_s, _GAPS * config.gap_s)
        self._monotonic = monotonic
        self._sleep = sleep
        self._windows: Windows | None = None
        self._rings: dict[str, RingReader] = {}
        self._heard_at: dict[str, float] = {}  # the latest good reading of each channel
        self._last_ends = 0.0  # of the window that was given before
        self._number = 0
        self.dropped: Counter[str] = Counter()
        self._waiting: WindowQueue[TimedWindow] = WindowQueue(config.every_s, self.dropped)

    @property
    def begun(self) -> bool:
        """Return whether each channel has given a reading."""
        return self._windows is not None and self._windows.began

    def open(self) -> None:
        """Look for the channels on the readings page."""
        from edged.sources.windowing import Windows

        if self._page is None:
            raise Unavailable(Reason.ABSENT, "this worker has no readings page")
        self._windows = Windows(self._config)
        self._rings = {channel: self._page.follow(channel) for channel in self._config.channels}
        self._heard_at = dict.fromkeys(self._config.channels, self._monotonic())
        self._waiting.clear()

    def read(self, timeout_s: float) -> Window | None:
        """Return the oldest window that waits and is not out of date."""
        deadline = self._monotonic() + timeout_s
        while True:
            now = self._take()
            window = self._waiting.next(now)
            if window is not None:
                return self._give(window, now)
            if now < deadline:
                self._sleep(min(POLL_S, deadline - now))
            if self._monotonic() >= deadline:
                return None  # what came meanwhile is taken by the next call

    def idle(self, keep: int | None) -> None:
        """Take in the readings; keep the newest windows that may still be needed."""
        self._waiting.idle(self._take(), keep)

    def close(self) -> None:
        """Forget the readings."""
        self._windows = None
        self._rings = {}
        self._waiting.clear()

    def _take(self) -> float:
        """Take what is new on the readings page; return the time.

        Raises:
            Unavailable: a channel is silent.
        """
        if self._windows is None:
            raise Unavailable(Reason.LOST, "the source of sensors: not open")
        now = self._monotonic()
        gaps, lost = self._windows.gaps, sum(ring.lost for ring in self._rings.values())
        # In the order of time over all channels: otherwise one of them would look silent.
        came = [(s.at, channel, s.value) for channel, ring in self._rings.items() for s in ring.new()]
        for at, channel, value in sorted(came):
            for window in self._windows.add(channel, value, at):
                self._waiting.add(window)
            self._heard_at[channel] = max(self._heard_at[channel], min(at, now))
        self._drop("gap", self._windows.gaps - gaps)
        self._drop("overrun", sum(ring.lost for ring in self._rings.values()) - lost)
        silent = next((c for c, at in self._heard_at.items() if now - at > self._patience_s), None)
        if silent is not None:
            what = f"{silent} has given no good reading for {self._patience_s:g} s; check that sensor"
            raise Unavailable(Reason.TIMEOUT, what)
        return now

    def _drop(self, reason: str, number: int) -> None:
        if number > 0:
            self.dropped[reason] += number

    def _give(self, window: TimedWindow, now: float) -> Window:
        # A model's memory of the window before is of use where this one begins at that one's end.
        length_s = self._config.steps * self._config.step_s
        follows = abs(window.ends_at - self._last_ends - length_s) < 1e-6 * length_s
        self._last_ends = window.ends_at
        self._number += 1
        captured_at = clock.wall() - (now - window.ends_at)
        return Window(window.values, captured_at, begins=not follows, number=self._number - 1)
