"""The order that main gives the fork server: one worker, with everything that it has to know.

An order is trusted: it comes down the control socket from the process that started the fork server.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
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
        present: (label, zone, count) of what it decided last, where it decides by label; the oldest first.
        accelerator: cpu | edgetpu | external: where to run now.
        degraded: whether that differs from the configuration.
        threads: threads of the CPU kernels, where the configuration sets no number.
        armed: whether its gate is armed, where the gate can be.
        model: index, among the descriptors sent with the order, of the one with the model's bytes; -1: read
            the file.
        labels: the same for its label file.
        twin: the same for the model that runs on the CPU if the accelerator's cannot be used.
        then_model, then_labels: the same for the model that looks closer.
        secrets: the content of the files of its source that hold secrets, by key.
        tell_labels: report the labels, which main does not know.
        reset: reset the accelerator first: it hung or crashed.
        marks: marks of the samples that were judged, each with the time of its last change; the latest last.
        floor_s: whatever was changed before this was judged, s since 1970.
        number: how many were judged.
        fatal: marks of samples that ended an earlier worker while it decoded them: they are left out.
    """

    name: str
    section: dict[str, Any]
    results: bool = False
    resume: str = "unknown"
    present: tuple[tuple[str, str, int], ...] = ()
    accelerator: str = "cpu"
    degraded: bool = False
    threads: int = 1
    armed: bool = False
    model: int = -1
    labels: int = -1
    twin: int = -1
    then_model: int = -1
    then_labels: int = -1
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    tell_labels: bool = False
    reset: bool = False
    fatal: tuple[int, ...] = ()
    marks: tuple[tuple[int, float], ...] = ()
    floor_s: float = 0.0
    number: int = 0


@dataclass(frozen=True)
class Order:
    """One worker.

    Attributes:
        name: the worker's name in the process list.
        isolation: required | optional: whether the worker may run where it keeps the network.
        pipelines: its pipelines.
        probe: only open the models, run each once, and end with status 0 where that worked.
        readings_page: index, among the descriptors sent with the order, of the readings page; -1: no pipeline
            needs it.
        pictures: index of the descriptor at which connections arrive that the pictures are written to; -1:
            nobody is shown any, as in a service.
        walls: what is around the fork server and so around the worker (:mod:`edged.system.isolation`).
    """

    name: str
    isolation: str
    pipelines: tuple[PipelineOrder, ...]
    probe: bool = False
    readings_page: int = -1
    pictures: int = -1
    walls: tuple[str, ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Return the order as JSON data."""
        return asdict(self)

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Order:
        """Read it back."""
        pipelines = tuple(
            PipelineOrder(
                **{
                    **pipeline,
                    "fatal": tuple(pipeline["fatal"]),
                    "marks": tuple(map(tuple, pipeline["marks"])),
                    "present": tuple(map(tuple, pipeline["present"])),
                }
            )
            for pipeline in data.pop("pipelines")
        )
        return cls(**{**data, "walls": tuple(data.pop("walls"))}, pipelines=pipelines)
