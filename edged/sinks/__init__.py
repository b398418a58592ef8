"""Sinks: where events leave. MQTT (:mod:`edged.sinks.mqtt`) and JSON lines (:mod:`edged.sinks.jsonl`).

One of them takes events out of the spool: MQTT where a broker is configured, else JSON lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class EventSink(Protocol):
    """Takes events out of the spool, and keeps topics at their values where it has topics."""

    @property
    def state(self) -> str:
        """The state now, in one or two words; ``connected`` and ``none`` are in order."""

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""

    @property
    def degraded(self) -> Literal["", "auth", "certificate"]:
        """What a person has to put right: ``auth``, ``certificate``, or "" for nothing."""

    def open(self) -> None:
        """Begin; never raises because the other side is away."""

    def check(self) -> None:
        """Look after itself; called about once a second."""

    def drain(self) -> None:
        """Send what may be sent now."""

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Keep a topic below the node's at this value; empty clears it."""

    def result(self, pipeline: str, payload: bytes) -> None:
        """Send one inference, or drop it."""

    def reading(self, line: bytes) -> None:
        """Send one reading of a sensor, or drop it; a sink with topics gets its readings by ``retain``."""

    def close(self, timeout_s: float) -> None:
        """Send what can still be sent, and end, in that time."""


class Discovery(Protocol):
    """Keeps a retained topic of another system's convention up to date. It decides; the sink sends."""

    @property
    def subscriptions(self) -> Sequence[str]:
        """The topics whose messages it needs."""

    @property
    def wake_at(self) -> float | None:
        """Monotonic time of the next thing to do; None for nothing."""

    def connected(self, now: float) -> None:
        """Begin a connection, whose subscriptions were just sent."""

    def disconnected(self) -> None:
        """Wait for the next connection."""

    def message(self, topic: str, payload: bytes, *, retained: bool, now: float) -> None:
        """Take a message on one of the subscriptions."""

    def poll(self, now: float) -> Sequence[tuple[str, bytes]]:
        """Return what is to be published now, retained: topics and payloads."""
