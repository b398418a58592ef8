"""What the supervisor says of a pipeline, and to whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.events import ModelTag
    from edged.ipc import worker_messages

_NONE: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True)
class PipelineStatus:
    """A pipeline now.

    Attributes:
        name: of the pipeline.
        state: ``disabled``, ``starting``, ``running``, ``waiting`` (something is away or wrong, and it is
            tried again), ``ended`` (a finite source gave everything).
        online: whether it sees: what its availability topic says.
        enabled: whether it should run.
        restarts: of its worker since the start.
        last_error: the latest fault in a sentence; empty if there was none.
        fault: the kind of the fault that holds now; empty while all is well.
        reason: of that fault, a word for programs, where the worker itself said what is wrong.
        model, runtime, accelerator, degraded, network, isolation: as its worker says; see ``wire.Ready``.
        fps, capture_p50_ms, invoke_p50_ms, invoke_p95_ms: lately; None before the first frame.
        frames: classified since the start, over restarts.
        dropped: frames not classified, by reason, over restarts.
        pid: of its worker.
        held_by: what closes its gate now; empty where it is open.
    """

    name: str
    state: str = "disabled"
    online: bool = False
    enabled: bool = False
    restarts: int = 0
    last_error: str = ""
    fault: str = ""
    reason: str = ""
    model: ModelTag | None = None
    runtime: str = ""
    accelerator: str = "cpu"
    degraded: bool = False
    network: bool = False
    isolation: tuple[str, ...] = ()
    fps: float = 0.0
    capture_p50_ms: float | None = None
    invoke_p50_ms: float | None = None
    invoke_p95_ms: float | None = None
    frames: int = 0
    dropped: Mapping[str, int] = field(default_factory=lambda: _NONE)
    pid: int | None = None
    held_by: str = ""


class Listener(Protocol):
    """Hears what happens, on the event loop's thread."""

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        """A pipeline has news, or classified a frame."""

    def changed(self, status: PipelineStatus) -> None:
        """A pipeline's state, availability, switch or fault changed."""
