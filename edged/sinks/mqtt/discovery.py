"""What the sink asks of a discovery convention, and does for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Discovery(Protocol):
    """Keeps a retained topic of somebody else's convention up to date. It decides; the sink sends."""

    @property
    def subscriptions(self) -> Sequence[str]:
        """Topics whose messages it wants."""

    @property
    def wake_at(self) -> float | None:
        """Monotonic time of the next thing to do; None for nothing."""

    def connected(self, now: float) -> None:
        """A connection was made, and its subscriptions asked for."""

    def disconnected(self) -> None:
        """The connection is gone."""

    def message(self, topic: str, payload: bytes, *, retained: bool, now: float) -> None:
        """A message on one of the subscriptions."""

    def poll(self, now: float) -> Sequence[tuple[str, bytes]]:
        """Return what is to be published now, retained."""
