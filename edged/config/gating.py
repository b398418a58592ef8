"""``gate`` and ``trigger`` of a pipeline: when it may run, and what makes it run. Data, never code."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from edged.config.values import CHANNEL_PATH, CLOCK, HOURS, Seconds
from edged.drivers import Section, wrong
from edged.pipeline.gating import Hours, Rule

_ON = frozenset({"true", "on", "yes"})
_OFF = frozenset({"false", "off", "no"})
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def _value(text: str) -> str:
    if text.lower() not in _ON | _OFF and not _NUMBER.fullmatch(text):
        raise ValueError("it must be true, false or a number")
    return text


Part = Annotated[str, StringConstraints(pattern=HOURS)]
Time = Annotated[str, StringConstraints(pattern=CLOCK)]
ChannelPath = Annotated[str, StringConstraints(pattern=CHANNEL_PATH)]
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
        examples=["board/temperature"], description="a sensor's name; name/channel where it has several"
    )
    above: Bound | None = Field(examples=[20], default=None, description="the value is above this")
    below: Bound | None = Field(examples=[500], default=None, description="the value is below this")
    equals: Wanted | None = Field(examples=["true"], default=None, description="true, false or a number")
    hysteresis: Annotated[float, Field(ge=0, allow_inf_nan=False)] = Field(
        default=0, description="the value must go back so far over a bound before it no longer holds"
    )
    for_s: Seconds = Field(default=0, description="it must have been so for so long, in s")

    @model_validator(mode="after")
    def _asks_something(self) -> ConditionSection:
        if self.above is None and self.below is None and self.equals is None:
            raise wrong("write above, below or equals", "sensor")
        if self.above is not None and self.below is not None and self.above >= self.below:
            raise wrong(f"nothing is above {self.above:g} and below {self.below:g}", "above")
        return self

    def rule(self) -> Rule:
        """Return it as the state machine takes it."""
        wanted: float | bool | None = None
        if self.equals is not None:
            word = self.equals.lower()
            wanted = word in _ON if word in _ON | _OFF else float(word)
        return Rule(self.sensor, self.above, self.below, wanted, self.hysteresis, self.for_s)


class GateSection(Section):
    """When a pipeline may classify."""

    conditions: Annotated[tuple[ConditionSection, ...], Field(max_length=8)] = Field(
        examples=[[{"sensor": "board/temperature", "below": 70}]],
        default=(),
        description="all of these hold, which ask sensors of this file",
    )
    hours: Annotated[tuple[Part, ...], Field(max_length=8)] = Field(
        examples=[["07:00-22:00"]],
        default=(),
        description="and it is one of these parts of the day by the local clock; it may go over midnight",
    )
    armed: bool = Field(
        default=False, description="and it was armed by cmd/arm over MQTT; it begins disarmed"
    )
    if_unknown: Literal["pause", "run"] = Field(
        default="pause", description="what to do while a condition or the time is not known: pause or run"
    )

    def parts(self) -> tuple[Hours, ...]:
        """Return the hours in minutes of the day."""
        pairs = (text.partition("-") for text in self.hours)
        return tuple(Hours(_minutes(begin), _minutes(end)) for begin, _, end in pairs)


class TriggerSection(Section):
    """What makes a pipeline classify; without one it does so all the time."""

    conditions: Annotated[tuple[ConditionSection, ...], Field(max_length=8)] = Field(
        examples=[[{"sensor": "board/temperature", "above": 60, "for_s": 30}]],
        default=(),
        description="one of these begins to hold, which ask sensors of this file",
    )
    every_s: Seconds = Field(default=0, description="so often, in s; 0: not by itself")
    at: Annotated[tuple[Time, ...], Field(max_length=24)] = Field(
        examples=[["07:30"]], default=(), description="at these times of the day by the local clock"
    )
    frames: Annotated[int, Field(ge=1, le=10000)] = Field(
        default=1, description="pictures to classify each time, source.interval_s apart"
    )
    cooldown_s: Seconds = Field(default=0, description="not again for so long, in s")
    command: bool = Field(default=True, description="also on cmd/infer over MQTT, whatever the cooldown")

    @model_validator(mode="after")
    def _can_fire(self) -> TriggerSection:
        if not (self.conditions or self.every_s or self.at or self.command):
            raise wrong("nothing fires it: write conditions, every_s, at or command")
        return self

    def minutes(self) -> tuple[int, ...]:
        """Return the times in minutes of the day."""
        return tuple(_minutes(text) for text in self.at)
