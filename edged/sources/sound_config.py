"""The keys that sources of sound share: the rate, and how the sound is cut into windows."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from edged.drivers import wrong
from edged.models.spec import Gives, SampleSpec
from edged.sources import Hint, InputConfig

LEVEL = "level"  # the reading that goes with each event
LEVEL_UNIT = "dBFS"
_SHORTEST_S = 0.02
_LEAST_HOP_S = 0.1  # where neither the configuration nor a window gives one; bounds the pace of events
_LEAST_HOP_OF_FEATURES_S = 0.03  # microWakeWord's
_SHORT_ROWS = 10  # of features: a model that takes fewer remembers, and wants each row once
_MOST_STEPS = 4_000_000
_FEATURES_HZ = 16000
_FEATURES = 40
FEATURES_S = 0.01
_WHOLE = 1e-6
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
    features: Literal["none", "micro"] = Field(
        default="none",
        description="none: the model takes samples; micro: 40 features every feature_step_s, as TensorFlow "
        "Lite Micro makes them for keyword models (micro_speech, microWakeWord)",
    )
    feature_step_s: Annotated[float, Field(ge=FEATURES_S, le=1, allow_inf_nan=False)] = Field(
        default=FEATURES_S, description="features: time from one row to the next, in s; micro_speech: 0.02"
    )

    @property
    def row_s(self) -> float:
        """The time from one row of a window to the next: of a sample, or of features."""
        return 1 / self.rate_hz if self.features == "none" else self.feature_step_s

    @property
    def sample(self) -> SampleSpec:
        """Windows of samples or of features; 0 steps: as many as the model takes."""
        steps = round((self.window_s or 0.0) / self.row_s)
        return SampleSpec(self.gives, steps, 1 if self.features == "none" else _FEATURES, self.rate_hz)

    @property
    def hop_known_s(self) -> float:
        """The time from the start of a window to the next, or the least that it can be, in s."""
        return self.hop_s or (self.window_s / 2 if self.window_s else self._least_hop_s)

    @property
    def _least_hop_s(self) -> float:
        return _LEAST_HOP_S if self.features == "none" else _LEAST_HOP_OF_FEATURES_S

    def lengths(self, hint: Hint) -> tuple[int, int]:
        """Return the rows in a window, and those from the start of one to the next.

        Args:
            hint: has the length of the model's input.
        """
        steps = self.sample.steps or hint.steps
        if self.hop_s:
            return steps, max(1, round(self.hop_s / self.row_s))
        remembers = self.features != "none" and steps < _SHORT_ROWS
        hop = steps if remembers else (steps + 1) // 2
        return steps, max(hop, 1 if self.window_s else round(self._least_hop_s / self.row_s))

    @model_validator(mode="after")
    def _lengths_fit(self) -> SoundConfig:
        if self.sample.steps > _MOST_STEPS:
            raise wrong(f"a window has at most {_MOST_STEPS} samples", "window_s")
        if self.features == "none":
            return self
        if self.rate_hz != _FEATURES_HZ:
            raise wrong(f"features are of sound at {_FEATURES_HZ} Hz", "rate_hz")
        rows = self.feature_step_s / FEATURES_S
        if abs(rows - round(rows)) > _WHOLE:
            raise wrong(f"must be a multiple of {FEATURES_S:g} s", "feature_step_s")
        return self
