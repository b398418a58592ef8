"""The keys that sources of sound share: the rate, and how the sound is cut into windows."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from edged.drivers import wrong
from edged.models.spec import Gives, SampleSpec
from edged.sources import Hint, InputConfig

LEVEL = "level"  # the reading that goes with each event
LEVEL_UNIT = "dBFS"
_SHORTEST_S = 0.02
_LEAST_HOP_S = 0.1  # where neither the configuration nor a window gives one; bounds the pace of events
_MOST_STEPS = 4_000_000
Length = Annotated[float, Field(ge=_SHORTEST_S, le=60, allow_inf_nan=False)]


class SoundConfig(InputConfig):
    """The keys of a source of sound; a driver's ``Config`` adds its own."""

    gives: ClassVar[Gives] = "window"
    measures: ClassVar[tuple[str, ...]] = (LEVEL,)

    rate_hz: Annotated[int, Field(ge=4000, le=192_000)] = Field(
        default=16000, description="samples a second that the model wants"
    )
    window_s: Length | None = Field(
        examples=[0.975], default=None, description="length of a window, in s; default: the model's input"
    )
    hop_s: Length | None = Field(
        examples=[0.5],
        default=None,
        description="time from the start of a window to the next, in s; default: half a window",
    )

    @property
    def sample(self) -> SampleSpec:
        """Windows of one channel; 0 steps: as many as the model takes."""
        steps = round((self.window_s or 0.0) * self.rate_hz)
        return SampleSpec(self.gives, steps, 1, self.rate_hz)

    @property
    def hop_known_s(self) -> float:
        """The time from the start of a window to the next, or the least that it can be, in s."""
        return self.hop_s or (self.window_s / 2 if self.window_s else _LEAST_HOP_S)

    def lengths(self, hint: Hint) -> tuple[int, int]:
        """Return the samples in a window, and those from the start of one to the next.

        Args:
            hint: has the length of the model's input.
        """
        steps = self.sample.steps or hint.steps
        least = round(_LEAST_HOP_S * self.rate_hz)
        hop = round(self.hop_s * self.rate_hz) if self.hop_s else (steps + 1) // 2
        return steps, max(hop, 1 if self.hop_s or self.window_s else least)

    @model_validator(mode="after")
    def _not_too_long(self) -> SoundConfig:
        if self.sample.steps > _MOST_STEPS:
            raise wrong(f"a window has at most {_MOST_STEPS} samples", "window_s")
        return self
