"""What keeps a pipeline from judging: told once for each change, with a pause where the gate closes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Pause(NamedTuple):
    """The gate closed; nothing is seen until it opens."""


class GateNews:
    """Remembers what was told last; for one thread.

    Args:
        held: hears what closes the gate, in a few words; empty where it is open and nothing is judged yet.
        deliver: takes a pause when the gate closes.
    """

    def __init__(self, held: Callable[[str], object], deliver: Callable[[Pause], object]) -> None:
        self._held = held
        self._deliver = deliver
        self.told: str | None = None  # None: nothing, since the source is away

    def tell(self, by: str) -> None:
        """Say it where it is news."""
        if by == self.told:
            return
        self.told = by
        self._held(by)
        if by:
            self._deliver(Pause())

    def forget(self) -> None:
        """The source is away: whatever holds when it is back is news."""
        self.told = None
