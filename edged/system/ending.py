"""Describes the end of a process in one sentence, the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

from edged.system import signals


@dataclass(frozen=True)
class Ending:
    """The end of a process; as text, the predicate of a sentence, such as ``was ended by SIGSEGV``.

    Attributes:
        status: its exit status; negative for the number of the signal that ended it, as in
            :mod:`subprocess`; None where it is not known.
        why: what is known instead.
        wanted: it was ended for another one to take its place.
    """

    status: int | None
    why: str = "ended"
    wanted: bool = False

    @property
    def signal(self) -> int:
        """The signal that ended it; 0 if there was none."""
        return max(0, -(self.status or 0))

    def __str__(self) -> str:
        if self.status is None:
            return self.why
        return (
            f"was ended by {signals.name(self.signal)}"
            if self.signal
            else f"ended with exit status {self.status}"
        )
