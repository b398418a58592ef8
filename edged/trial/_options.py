"""What the command line says, and how it is told that this cannot be done. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

USAGE, NO_INPUT, UNAVAILABLE = 64, 66, 69


class Refused(Exception):  # noqa: N818 - what is refused is said in its sentence
    """It cannot go on: one sentence for a person, and an exit status of sysexits."""

    def __init__(self, sentence: str, status: int = UNAVAILABLE) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Options:
    """What the command line says.

    Attributes:
        source: path, /dev/videoN, address, ``camera``, ``photos``, ``synthetic``; None: the best there is.
        count: end after so many inferences.
        broker: host[:port].
        live: a person looks at a terminal.
    """

    source: str | None = None
    model: Path | None = None
    labels: Path | None = None
    count: int | None = None
    broker: str | None = None
    runtime: str = "auto"
    live: bool = False
