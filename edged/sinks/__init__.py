"""Sinks: where events leave. MQTT (:mod:`edged.sinks.mqtt`) and JSON lines (:mod:`edged.sinks.jsonl`).

One of them is the outlet, which takes events out of the spool: MQTT where a broker is configured, else JSON
lines (:mod:`edged.sinks.json_lines`).
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable


class EventSink(Protocol):
    """Takes events out of the spool, and keeps values of topics where it has topics.

    Attributes:
        state: now, in one or two words; ``connected`` and ``none`` are in order.
        detail: a sentence that goes with it.
        degraded: what a person has to put right: ``auth``, ``certificate``, or "" for nothing.
    """

    @property
    def state(self) -> str:
        """Now, in one or two words."""

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""

    @property
    def degraded(self) -> Literal["", "auth", "certificate"]:
        """What a person has to put right: ``auth``, ``certificate``, or "" for nothing."""

    def open(self) -> None:
        """Begin; never raises because somebody else is away."""

    def check(self) -> None:
        """Look after itself; called about once a second."""

    def drain(self) -> None:
        """Send what may be sent now."""

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Keep a topic below the node's at this value; empty clears it."""

    def result(self, pipeline: str, payload: bytes) -> None:
        """Send one inference, or drop it."""

    def close(self, timeout_s: float) -> None:
        """Send what can still be sent, and end, in that time."""


@runtime_checkable
class TakesLines(Protocol):
    """What an outlet without topics has beside: readings have no topic to be kept at."""

    def reading(self, line: bytes) -> None:
        """Send a reading, or drop it."""
