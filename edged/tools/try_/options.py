"""What the command line says. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
