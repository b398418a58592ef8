"""The order that main gives the fork server: one worker, with everything that it has to know.

An order is trusted: it comes down the control socket from the process that started the fork server.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

PING = b"?"  # requests a sign of life from the fork server


@dataclass(frozen=True)
class PipelineOrder:
    """One pipeline of a worker.

    Attributes:
        name: the pipeline's name.
        section: its part of the configuration, as JSON data.
        results: report every inference, not only news.
        resume: the label that the worker before this one decided last; ``unknown`` for none.
        accelerator: cpu | edgetpu: where to run now.
        degraded: whether that differs from the configuration.
        threads: threads of the CPU kernels, where the configuration sets no number.
        armed: whether its gate is armed, where the gate can be.
        model: index, among the descriptors sent with the order, of the one with the model's bytes; -1: read
            the file.
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
        name: the worker's name in the process list.
        main: the process id of main; the worker dies with it.
        isolation: required | optional: whether the worker may run where it keeps the network.
        pipelines: its pipelines.
        probe: only open the models, run each once, and end with status 0 where that worked.
        readings_page: index, among the descriptors sent with the order, of the readings page; -1: no pipeline
            needs it.
        adopts: whether main is the subreaper of what the fork server forks; under an emulator it is not.
    """

    name: str
    main: int
    isolation: str
    pipelines: tuple[PipelineOrder, ...]
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
        pipelines = tuple(PipelineOrder(**pipeline) for pipeline in fields.pop("pipelines"))
        return cls(**fields, pipelines=pipelines)
