"""The subscriptions of a connection: all at once, or one by one where the broker may hang up at one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.sinks.mqtt.hangups import SUBSCRIPTION
from edged.sinks.mqtt.outgoing import InFlight, Publish

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edged.sinks.mqtt.hangups import HangUps
    from edged.sinks.mqtt.session import Session

AGAIN_S = 30.0  # a node of a cluster without a leader refuses what it takes later


class Subscriptions:
    """Makes subscriptions, and those again that were refused or left out. Times are monotonic, in s.

    Args:
        hang_ups: tells which are left out.
    """

    def __init__(self, hang_ups: HangUps) -> None:
        self._hang_ups = hang_ups
        self._wanted: list[str] = []
        self._made = InFlight()
        self._refused: list[str] = []
        self._again_at: float | None = None

    def __bool__(self) -> bool:
        """Return whether an answer is due."""
        return bool(self._made)

    @property
    def wake_at(self) -> float | None:
        """The time at which refused ones are made again."""
        return self._again_at

    def want(self, topics: Sequence[str]) -> None:
        """Add topics to those that are to be subscribed to."""
        self._wanted += topics

    def make(self, session: Session, free: Callable[[], bool], now: float) -> None:
        """Subscribe to what is wanted, as far as there is room."""
        if self._again_at is not None and now >= self._again_at:
            self._wanted += self._refused
            self._refused, self._again_at = [], None
        wanted = [topic for topic in self._wanted if not self._hang_ups.is_left_out(SUBSCRIPTION + topic)]
        while wanted and free():
            count = 1 if self._hang_ups.careful else len(wanted)
            topics, wanted = wanted[:count], wanted[count:]
            self._made.add(session.subscribe(topics), Publish(now, SUBSCRIPTION + ", ".join(topics)))
        self._wanted = wanted

    def answered(self, mid: int, refused: int, now: float) -> Publish | None:
        """Return the subscription that the broker answered; a refused one is made again later."""
        made = self._made.answered(mid, now)
        if made is not None and refused:
            self._refused += made.topic.removeprefix(SUBSCRIPTION).split(", ")
            self._again_at = now + AGAIN_S
        return made

    def waiting(self, since: float) -> list[Publish]:
        """Return those that were made after a moment and have no answer."""
        return self._made.waiting(since)

    def clear(self) -> None:
        """Forget all: the connection is gone."""
        self._made.clear()
        self._wanted, self._refused, self._again_at = [], [], None
