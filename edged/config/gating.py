"""A pipeline's ``gate`` (when it may run) and ``trigger`` (when it runs). Data, never code."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from edged.config.values import CLOCK, HOURS, Seconds
from edged.drivers import Section, wrong
from edged.pipeline.gating import Hours, Loudness, Rule
from edged.sources import ChannelPath

_ON = frozenset({"true", "on", "yes"})
_OFF = frozenset({"false", "off", "no"})
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def _value(text: str) -> str:
    if text.lower() not in _ON | _OFF and not _NUMBER.fullmatch(text):
        raise ValueError("must be true, false or a number")
    return text


Part = Annotated[str, StringConstraints(pattern=HOURS)]
Time = Annotated[str, StringConstraints(pattern=CLOCK)]
Wanted = Annotated[
    str,
    StringConstraints(max_length=32),
    AfterValidator(_value),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "number"}, {"type": "string", "maxLength": 32}]}),
]
Bound = Annotated[float, Field(allow_inf_nan=False)]


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


class ConditionSection(Section):
    """One condition on a sensor."""

    sensor: ChannelPath = Field(
        examples=["board/temperature"], description="a sensor's name, or name/channel where it has several"
    )
    above: Bound | None = Field(examples=[20], default=None, description="the value is above this")
    below: Bound | None = Field(examples=[500], default=None, description="the value is below this")
    equals: Wanted | None = Field(examples=["true"], default=None, description="true, false or a number")
    hysteresis: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0, description="the value must move back past a bound by this much to end the condition"
    )
    for_s: Seconds = Field(default=0, description="the condition must hold for at least this many seconds")

    @model_validator(mode="after")
    def _satisfiable(self) -> ConditionSection:
        if self.above is None and self.below is None and self.equals is None:
            raise wrong("write above, below or equals", "sensor")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise wrong(f"no value is both above {self.above:g} and below {self.below:g}", "above")
        return self

    def rule(self) -> Rule:
        """Return the condition in the form that the state machine uses."""
        wanted: float | bool | None = None
        if self.equals is not None:
            word = self.equals.lower()
            wanted = word in _ON if word in _ON | _OFF else float(word)
        return Rule(self.sensor, self.above, self.below, wanted, self.hysteresis, self.for_s)


class GateSection(Section):
    """Conditions under which a pipeline classifies."""

    conditions: Annotated[tuple[ConditionSection, ...], Field(max_length=8)] = Field(
        examples=[[{"sensor": "board/temperature", "below": 70}]],
        default=(),
        description="conditions on sensors of this file; all of them must hold",
    )
    hours: Annotated[tuple[Part, ...], Field(max_length=8)] = Field(
        examples=[["07:00-22:00"]],
        default=(),
        description="and the local time is in one of these ranges, which may cross midnight",
    )
    armed: bool = Field(
        default=False, description="and it has been armed by cmd/arm over MQTT; it starts disarmed"
    )
    above_dbfs: Annotated[float, Field(ge=-120, le=0)] | None = Field(
        examples=[-45],
        default=None,
        description="sources of sound: and it is louder than this, in dBFS (0: as loud as can be; events and "
        "results tell the level)",
    )
    hold_s: Seconds = Field(
        default=2, description="above_dbfs: also for this long after it was last loud, in s"
    )
    if_unknown: Literal["pause", "run"] = Field(
        default="pause", description="action while a sensor's value or the time is unknown: pause or run"
    )

    def loudness(self) -> Loudness | None:
        """Return what tells loud sound from silence; None: nothing does."""
        return None if self.above_dbfs is None else Loudness(self.above_dbfs, self.hold_s)

    def parts(self) -> tuple[Hours, ...]:
        """Return the hours as minutes since midnight."""
        pairs = (text.partition("-") for text in self.hours)
        return tuple(Hours(_minutes(begin), _minutes(end)) for begin, _, end in pairs)


class TriggerSection(Section):
    """The trigger of a pipeline; without one, it classifies continuously."""

    conditions: Annotated[tuple[ConditionSection, ...], Field(max_length=8)] = Field(
        examples=[[{"sensor": "board/temperature", "above": 60, "for_s": 30}]],
        default=(),
        description="conditions on sensors of this file; fires when any of them starts to hold",
    )
    every_s: Seconds = Field(default=0, description="also every N seconds (0: off)")
    at: Annotated[tuple[Time, ...], Field(max_length=24)] = Field(
        examples=[["07:30"]], default=(), description="also at these times of the day, local time"
    )
    frames: Annotated[int, Field(ge=1, le=10000)] = Field(
        default=1, description="pictures to classify each time it fires, source.interval_s apart"
    )
    cooldown_s: Seconds = Field(default=0, description="minimum pause between two triggers, in s")
    command: bool = Field(default=True, description="also on cmd/infer over MQTT, regardless of the cooldown")

    @model_validator(mode="after")
    def _can_fire(self) -> TriggerSection:
        if not (self.conditions or self.every_s or self.at or self.command):
            raise wrong("it can never fire: write conditions, every_s, at or command")
        return self

    def minutes(self) -> tuple[int, ...]:
        """Return the times as minutes since midnight."""
        return tuple(_minutes(text) for text in self.at)
