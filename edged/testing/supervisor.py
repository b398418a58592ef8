"""A supervisor without processes: it has the real one's interface, and a test controls its pipelines."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edged.events import Finding, ModelTag
from edged.ipc.worker_messages import Outcome
from edged.supervisor import ForkServer, PipelineStatus
from edged.supervisor.places import Places
from edged.supervisor.switches import Switches

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.config.root import PipelineSection
    from edged.sensors import SensorConfig
    from edged.supervisor import Listener

MODEL = ModelTag("efficientnet_lite0_uint8", "35e8e20b")


def status(name: str = "porch", **changes: Any) -> PipelineStatus:
    """Return the status of a running pipeline, with the given changes."""
    running = PipelineStatus(
        name,
        state="running",
        online=True,
        enabled=True,
        model=MODEL,
        runtime="litert",
        accelerator="cpu",
        isolation=("seccomp", "netns", "mountns", "pidns"),
    )
    return replace(running, **changes)


def outcome(pipeline: str = "porch", kind: str = "start", label: str = "cat", **changes: Any) -> Outcome:
    """Return an outcome for a photograph taken at 2026-01-31T12:00:00Z and decided 12 ms later."""
    plain = Outcome(
        pipeline=pipeline,
        type=kind,
        label=label,
        score=0.75,
        previous="unknown",
        top=(Finding("cat", 0.75), Finding("dog", 0.1)),
        captured_at=1769860800.0,
        decided_at=1769860800.012,
        capture_ms=2.0,
        invoke_ms=10.0,
        frame=0,
    )
    return replace(plain, **changes)


class Supervised:
    """A substitute for :class:`edged.supervisor.Supervisor`.

    Attributes:
        calls: the calls it received, in order.
        stuck: the pipelines that make no progress.
        hangs: stopping never ends.
        readings_page: not a descriptor, since nothing reads it here.
        forkserver: a real one, which is not started.
        places: real ones; no source comes anywhere.
        switches: real ones.
        sensors_wait: set by the daemon, and not called.
    """

    def __init__(self, listener: Listener) -> None:
        self.calls: list[str] = []
        self.stuck: list[str] = []
        self.hangs = False
        self.readings_page = -1
        self.forkserver = ForkServer()
        self.places = Places()
        self.switches = Switches()
        self.sensors_wait: Callable[[], bool] = lambda: False
        self._listener = listener
        self._sections: dict[str, PipelineSection] = {}
        self._statuses: dict[str, PipelineStatus] = {}

    def command(self, pipeline: str, verb: str) -> bool:
        """Record the call; every known pipeline accepts every verb."""
        self.calls.append(f"{verb} {pipeline}")
        return pipeline in self._sections

    def prepare(self) -> None:
        """Do nothing: there is nothing to import."""

    async def start(self) -> None:
        """Record the call."""
        self.calls.append("start")

    async def settle(self, timeout_s: float) -> None:
        """Record the call; every pipeline settles at once."""
        del timeout_s
        self.calls.append("settle")

    def enable(self, pipeline: str, on: bool) -> bool:
        """Switch a pipeline on or off. Raises ``KeyError`` for one that does not exist."""
        changes = self._statuses[pipeline].enabled != on
        self.switches.switched(pipeline, on)
        self._change(pipeline, enabled=on, online=on, state="running" if on else "disabled")
        return changes

    async def apply(
        self,
        pipelines: Mapping[str, PipelineSection],
        isolation: str,
        sensors: Mapping[str, SensorConfig] | None = None,
    ) -> frozenset[str]:
        """Take over the configuration and run every changed pipeline."""
        del isolation, sensors
        self.calls.append("apply")
        old, self._sections = self._sections, dict(pipelines)
        changed = {n for n in old.keys() | pipelines.keys() if old.get(n) != pipelines.get(n)}
        self._statuses = {n: s for n, s in self._statuses.items() if n in pipelines}
        await asyncio.sleep(0)
        for name in sorted(changed & pipelines.keys()):
            self._statuses[name] = status(name)
            self._listener.changed(self._statuses[name])
        return frozenset(changed)

    def status(self) -> Mapping[str, PipelineStatus]:
        """Return all statuses."""
        return self._statuses

    def processes(self) -> Mapping[str, int]:
        """Return nothing: there are no processes."""
        return {}

    def stalled(self) -> Sequence[str]:
        """Return the pipelines in ``stuck``."""
        return self.stuck

    async def stop(self, timeout_s: float) -> None:
        """Stop, unless ``hangs`` is set."""
        del timeout_s
        self.calls.append("stop")
        if self.hangs:
            await asyncio.sleep(3600)

    # Called by tests.

    def happen(self, news: Outcome) -> None:
        """Report an outcome, as a worker does."""
        self._listener.outcome(news, self._statuses[news.pipeline])

    def fail(self, name: str, sentence: str) -> None:
        """Make a pipeline's camera go away."""
        self._change(name, state="waiting", online=False, fault="source", last_error=sentence)

    def _change(self, name: str, **changes: Any) -> None:
        self._statuses[name] = replace(self._statuses[name], **changes)
        self._listener.changed(self._statuses[name])
