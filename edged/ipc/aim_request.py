"""A request to the process that draws what a pipeline sees on a terminal."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

Way = Literal["kitty", "sixel", "24bit", "256"]
WAYS: tuple[Way, ...] = get_args(Way)
FORGET, EXACT, END = b"r", b"e", b"q"  # keys of the person, as they are passed on


@dataclass(frozen=True)
class AimRequest:
    """What to draw, and where.

    Attributes:
        name: the pipeline's name.
        section: its part of the configuration, as JSON data.
        title: what the person calls it.
        terminal: the descriptor of the terminal, which is open for writing.
        keys: the descriptor of a pipe with the person's keys; its end ends the process, too.
        model: the descriptor of sealed memory with the model, or -1: the pipeline needs none.
        labels: the same of its label file.
        out: the descriptor of a file for the last picture, or -1.
        way: how the terminal takes pictures.
        bytes_per_s: that it is sent at most.
        threads: threads of the CPU kernels, where the configuration sets no number.
        count: end after this many pictures; None: when the person ends it.
        exact: begin with the picture in the model's own pixels.
    """

    name: str
    section: dict[str, Any]
    title: str
    terminal: int = -1
    keys: int = -1
    model: int = -1
    labels: int = -1
    out: int = -1
    way: Way = "256"
    bytes_per_s: int = 90_000
    threads: int = 1
    count: int | None = None
    exact: bool = False

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> AimRequest:
        """Read it back."""
        return cls(**json.loads(data))
