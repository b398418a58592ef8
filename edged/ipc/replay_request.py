"""A request to the process that judges a recording as a pipeline would have, and its answers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ReplayRequest:
    """One pipeline on one recording.

    Attributes:
        name: the pipeline's name.
        section: its part of the configuration, as JSON data, with the recording as its source.
        threads: threads of the CPU kernels, where the configuration sets no number.
        count: stop after this many pictures; None: at the end.
    """

    name: str
    section: dict[str, Any]
    threads: int = 1
    count: int | None = None

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ReplayRequest:
        """Read it back."""
        return cls(**json.loads(data))


@dataclass(frozen=True)
class Judged:
    """One picture of the recording.

    Attributes:
        source: its file, or its time in a video, such as ``01:02.40``.
        at_s: its time in the recording, in s.
        label: what the model saw; empty where the picture was not judged.
        score: how sure it was, 0..1.
        top: the best findings, best first.
        decision: what the pipeline had decided after it.
        news: the changes that it brought: start, change or end.
        left_out: why it was not judged.
    """

    source: str
    at_s: float
    label: str = ""
    score: float = 0.0
    top: tuple[tuple[str, float], ...] = ()
    decision: str = ""
    news: tuple[str, ...] = field(default=())
    left_out: str = ""

    def to_data(self) -> dict[str, Any]:
        """Return the picture as JSON data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Judged:
        """Read it back. Raises ``TypeError``, ``KeyError`` or ``ValueError`` where it is not one."""
        return cls(
            source=str(data["source"]),
            at_s=float(data["at_s"]),
            label=str(data["label"]),
            score=float(data["score"]),
            top=tuple((str(label), float(score)) for label, score in data["top"]),
            decision=str(data["decision"]),
            news=tuple(map(str, data["news"])),
            left_out=str(data["left_out"]),
        )
