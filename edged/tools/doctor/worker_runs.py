"""Runs pipelines for a moment in real workers, and tells how each of them did."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.config.root import PipelineSection
    from edged.ipc.worker_messages import Outcome
    from edged.supervisor import PipelineStatus

STOP_S = 3.0
_REMEMBERED = 20  # lines of the log


@dataclass
class Run:
    """What one pipeline did.

    Attributes:
        outcomes: its inferences.
        status: the latest that was heard of it.
        fault: what was wrong first; None where nothing was.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    status: PipelineStatus | None = None
    fault: PipelineStatus | None = None


class _Kept(logging.Handler):
    """Keeps what is logged, since a check says in one sentence what it found."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        self.lines.append((record.name, record.getMessage()))


class Workers:
    """A supervisor of its own, and its listener; what is logged meanwhile is kept and not printed.

    Args:
        root: of the file system, for the supervisor.
    """

    def __init__(self, root: Path) -> None:
        self._supervisor = Supervisor({}, isolation="optional", listener=self, results=True, root=root)
        self._runs: dict[str, Run] = {}
        self._count = 1
        self._news = asyncio.Event()
        self._started = False
        self._kept = _Kept()
        self._handlers: list[logging.Handler] = []  # of before

    def prepare(self) -> None:
        """Start the fork server, which imports what is slow to import."""
        root = logging.getLogger()
        self._handlers, root.handlers = root.handlers, [self._kept]
        self._supervisor.prepare()

    async def run(
        self, sections: Mapping[str, PipelineSection], *, count: int, seconds: float
    ) -> Mapping[str, Run]:
        """Run pipelines until each made so many inferences, or said what is wrong, or the time is over."""
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
            pass  # what is missing in the runs tells it
        runs, self._runs = self._runs, {}
        await self._supervisor.apply({}, "optional")
        return runs

    async def stop(self) -> None:
        """End all of them."""
        await self._supervisor.stop(STOP_S)
        logging.getLogger().handlers = self._handlers

    @property
    def last_words(self) -> str:
        """What a process wrote last before it ended; empty where nothing was written."""
        return next((text for logger, text in reversed(self._kept.lines) if logger.endswith("._stderr")), "")

    def _is_over(self, run: Run) -> bool:
        ended = run.status is not None and run.status.state == "ended"
        return run.fault is not None or ended or len(run.outcomes) >= self._count

    # What the supervisor calls.

    def outcome(self, outcome: Outcome, status: PipelineStatus) -> None:
        """Keep an inference."""
        run = self._runs.get(outcome.pipeline)
        if run is not None and outcome.type == "result":
            run.outcomes.append(outcome)
            run.status = status
            self._news.set()

    def changed(self, status: PipelineStatus) -> None:
        """Keep how it does."""
        run = self._runs.get(status.name)
        if run is not None:
            run.status = status
            run.fault = run.fault or (status if status.fault else None)
            self._news.set()
