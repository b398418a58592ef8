"""What main asks of the fork server: one worker, with everything that it has to know.

An order is trusted: it comes down the control socket from the process that started the fork server.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

PING = b"?"  # asks the fork server for a sign of life


@dataclass(frozen=True)
class PipelineOrder:
    """One pipeline of a worker.

    Attributes:
        name: of the pipeline.
        section: its part of the configuration, as JSON data.
        results: report every inference, not only news.
        resume: the label that a worker before this one had decided; ``unknown`` for none.
        accelerator: cpu | edgetpu: where to run now.
        degraded: this is not what the configuration asks for.
        threads: of the CPU kernels, where the configuration names no number.
        armed: whether its gate, where that asks for it, is armed.
        model: which of the descriptors that come with the order has the model's bytes; -1: read its file.
    """

    name: str
    section: dict[str, Any]
    results: bool = False
    resume: str = "unknown"
    accelerator: str = "cpu"
    degraded: bool = False
    threads: int = 1
    armed: bool = False
    model: int = -1


@dataclass(frozen=True)
class Order:
    """One worker.

    Attributes:
        name: for the process list.
        main: the process to die with.
        adopts: whether main is the subreaper of what the fork server forks; emulators have none.
        isolation: required | optional: whether it may run where it cannot be cut from the network.
        seats: its pipelines.
        readings_page: which of the descriptors that come with the order is the readings page; -1: no pipeline
        looks at one. probe: only open the models and run each once, and end with status 0 where that worked.
    """

    name: str
    main: int
    isolation: str
    seats: tuple[PipelineOrder, ...]
    probe: bool = False
    readings_page: int = -1
    adopts: bool = True

    def to_json(self) -> bytes:
        """Return the order as one datagram."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Order:
        """Read it back."""
        fields = json.loads(data)
        seats = tuple(PipelineOrder(**seat) for seat in fields.pop("seats"))
        return cls(**fields, seats=seats)
