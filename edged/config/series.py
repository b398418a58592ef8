"""Readings of sensors over time, cut into windows for a model or for a measure of what is usual.

They never pass through the process with the network: the sensor worker keeps them on the readings page, and
the pipeline's worker reads them there.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edged.config.gating import ChannelPath
from edged.drivers import wrong
from edged.sources import Intake

MOST_VALUES = 1_000_000  # in a window
_WHOLE = 1e-6  # how far a time may be from whole samples
_GAP = 5  # samples, where no max_gap_s is written
Finite = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=MOST_VALUES)]
Time = Annotated[float, Field(gt=0, le=864000, allow_inf_nan=False)]


class Config(Intake):
    """The keys of ``kind: sensors``."""

    kind: Literal["sensors"] = Field(default="sensors", description="readings over time")
    channels: Annotated[tuple[ChannelPath, ...], Field(min_length=1, max_length=64)] = Field(
        examples=[["vibration/x", "vibration/y"]],
        description="sensors (or sensor/channel), in the order of the model's input; published or not",
    )
    step_s: Annotated[float, Field(ge=0.001, le=86400, allow_inf_nan=False)] = Field(
        examples=[0.02], description="time between two samples of a window, in s"
    )
    window: Count | None = Field(
        examples=[64], default=None, description="samples in a window; or write window_s"
    )
    window_s: Time | None = Field(default=None, description="the same in s")
    hop: Count | None = Field(
        examples=[32],
        default=None,
        description="samples between the beginnings of two windows; default: half a window",
    )
    hop_s: Time | None = Field(default=None, description="the same in s")
    max_gap_s: Time | None = Field(
        examples=[0.1],
        default=None,
        description="two readings further apart than this are not connected, and no window goes over such a "
        "gap; default: 5 samples",
    )
    mean: tuple[Finite, ...] = Field(
        examples=[[0, 0]], default=(), description="of each channel, as the model was trained: taken away …"
    )
    std: tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...] = Field(
        examples=[[1, 1]], default=(), description="… and then divided by this"
    )

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
                raise wrong(f"{key} and {key}_s say the same: write one of them", f"{key}_s")
        for key in ("window_s", "hop_s"):
            samples = (getattr(self, key) or self.step_s) / self.step_s
            if abs(samples - round(samples)) > _WHOLE * samples:
                raise wrong(f"it is no whole number of samples of {self.step_s:g} s", key)
        if self.steps * len(self.channels) > MOST_VALUES:
            raise wrong(f"a window has at most {MOST_VALUES} values", "window" if self.window else "window_s")
        if self.gap_s < self.step_s:
            raise wrong(f"it is at least one sample, {self.step_s:g} s", "max_gap_s")
        return self

    @model_validator(mode="after")
    def _channels(self) -> Config:
        for number, channel in enumerate(self.channels):
            if channel in self.channels[:number]:
                raise wrong(f"{channel} stands there twice", "channels", number)
        for key in ("mean", "std"):
            if getattr(self, key) and len(getattr(self, key)) != len(self.channels):
                raise wrong(f"write one number for each of the {len(self.channels)} channels", key)
        return self
