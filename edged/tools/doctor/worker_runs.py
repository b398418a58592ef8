"""Runs pipelines for a moment in real workers, and reports how each of them did."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.supervisor import ForkServer, OutputPump, Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.config.root import PipelineSection
    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus

STOP_S = 3.0
_LINES = 200


@dataclass
class Run:
    """One pipeline's run.

    Attributes:
        outcomes: its inferences.
        status: its latest status.
        fault: its status at its first fault; None where it had none.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    status: PipelineStatus | None = None
    fault: PipelineStatus | None = None


class Workers:
    """A supervisor of its own, and its listener; nothing is logged meanwhile.

    Args:
        root: the root of the file system, for the supervisor.

    Attributes:
        last_words: the last line that a worker or its libraries printed; empty if there was none.
        printed: the last of these lines.
    """

    def __init__(self, root: Path) -> None:
        self.last_words = ""
        self.printed: deque[str] = deque(maxlen=_LINES)
        forkserver = ForkServer(OutputPump(self._printed))
        self._supervisor = Supervisor(
            {}, isolation="optional", listener=self, forkserver=forkserver, results=True, root=root
        )
        self._runs: dict[str, Run] = {}
        self._count = 1
        self._news = asyncio.Event()
        self._started = False
        self._handlers: list[logging.Handler] = []  # those before

    def prepare(self) -> None:
        """Start the fork server, whose imports are slow."""
        root = logging.getLogger()
        self._handlers, root.handlers = root.handlers, [logging.NullHandler()]
        self._supervisor.prepare()

    async def run(
        self, sections: Mapping[str, PipelineSection], *, count: int, seconds: float
    ) -> Mapping[str, Run]:
        """Run pipelines until each has made ``count`` inferences, has a fault, or the time is over."""
        self._runs = {name: Run() for name in sections}
        self._count = count
        if not self._started:
            self._started = True
            await self._supervisor.start()
        try:
            async with asyncio.timeout(seconds):
                await self._supervisor.apply(sections, "optional")
                while not all(map(self._is_over, self._runs.values())):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass  # the runs show what is missing
        runs, self._runs = self._runs, {}
        await self._supervisor.apply({}, "optional")
        return runs

    async def stop(self) -> None:
        """End all of them."""
        await self._supervisor.stop(STOP_S)
        logging.getLogger().handlers = self._handlers

    def _printed(self, _level: int, line: str) -> None:
        self.last_words = line
        self.printed.append(line)

    def _is_over(self, run: Run) -> bool:
        ended = run.status is not None and run.status.state == "ended"
        return run.fault is not None or ended or len(run.outcomes) >= self._count

    # Called by the supervisor.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Keep an inference."""
        run = self._runs.get(outcome.pipeline)
        if run is not None and outcome.type == "result":
            run.outcomes.append(outcome)
            run.status = status
            self._news.set()

    def changed(self, status: PipelineStatus) -> None:
        """Keep a pipeline's status."""
        run = self._runs.get(status.name)
        if run is not None:
            run.status = status
            run.fault = run.fault or (status if status.fault else None)
            self._news.set()
