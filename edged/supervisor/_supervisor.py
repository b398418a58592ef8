"""All workers together: which there are, which are switched on, and what is changed by a reload."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edged import bundled, clock
from edged.pulse import MAX_SEATS, Stage
from edged.supervisor._accelerator import Choice
from edged.supervisor._board import Board
from edged.supervisor._forkserver import ForkServer
from edged.supervisor._keeper import Keeper
from edged.supervisor._shelf import Shelf
from edged.supervisor._status import PipelineStatus
from edged.worker.order import Order, SeatOrder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.config.models import PipelineSection
    from edged.supervisor._status import Listener

LOOK_S = 0.2  # between two looks at the pulses
WEIGH_S = 5.0  # between two looks at the memory
CHECK_S = 3.0  # between two questions to the fork server
AWAY_S = 2.0  # this process stood still for so long: it was suspended, and so were the workers
MOST_THREADS = 4
_PAGE_MB = os.sysconf("SC_PAGESIZE") / 1e6


@dataclass
class _Group:
    """The pipelines of one worker."""

    sections: Mapping[str, PipelineSection]
    isolation: str
    board: Board
    keeper: Keeper
    choice: Choice

    def same(self, sections: Mapping[str, PipelineSection], isolation: str) -> bool:
        return dict(self.sections) == dict(sections) and self.isolation == isolation


class Supervisor:
    """Runs every enabled pipeline in a worker, for as long as it takes.

    Args:
        pipelines: their part of the configuration, by name.
        isolation: required | optional.
        listener: hears what happens.
        results: have every inference of every pipeline reported; otherwise only where its configuration
            says so.
    """

    def __init__(
        self,
        pipelines: Mapping[str, PipelineSection],
        *,
        isolation: str = "required",
        listener: Listener,
        results: bool = False,
    ) -> None:
        self._pipelines = dict(pipelines)
        self._isolation = isolation
        self._listener = listener
        self._results = results
        self._enabled = {name: section.enabled for name, section in pipelines.items()}
        self._forkserver = ForkServer()
        self._shelf = Shelf()
        self._groups: dict[str, _Group] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    def prepare(self) -> None:
        """Start the fork server; it imports while main goes on."""
        self._forkserver.start()

    async def start(self) -> None:
        """Start every enabled pipeline."""
        if self._forkserver.pid is None:
            self.prepare()
        self._looked_at = clock.monotonic()
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._arrange()

    async def settle(self, timeout_s: float) -> None:
        """Wait until every enabled pipeline runs, has ended, or has said what is wrong."""
        deadline = clock.monotonic() + timeout_s
        while clock.monotonic() < deadline:
            if all(group.keeper.settled for group in self._groups.values()):
                return
            await asyncio.sleep(0.01)

    def enable(self, pipeline: str, on: bool) -> None:
        """Switch a pipeline. Raises ``KeyError`` for one that does not exist."""
        if self._enabled[pipeline] != on:
            self._enabled[pipeline] = on
            self._arrange()

    async def apply(self, pipelines: Mapping[str, PipelineSection], isolation: str) -> frozenset[str]:
        """Go over to another configuration; returns the pipelines that it changed.

        What was switched stays switched, unless the configuration changed its mind about that pipeline.
        """
        old = self._pipelines
        changed = {name for name in old.keys() | pipelines.keys() if old.get(name) != pipelines.get(name)}
        if isolation != self._isolation:
            changed |= pipelines.keys()
        self._enabled = {
            name: self._enabled[name]
            if name in old and old[name].enabled == section.enabled
            else section.enabled
            for name, section in pipelines.items()
        }
        self._pipelines, self._isolation = dict(pipelines), isolation
        self._arrange()
        return frozenset(changed)

    def status(self) -> Mapping[str, PipelineStatus]:
        """Return what is known of every pipeline, in the order of the configuration."""
        running = {s.name: s for group in self._groups.values() for s in group.board.all()}
        return {name: running.get(name, PipelineStatus(name)) for name in self._pipelines}

    def processes(self) -> Mapping[str, int]:
        """Return the process ids of the fork server and of each pipeline's worker, by name."""
        found = {} if self._forkserver.pid is None else {"forkserver": self._forkserver.pid}
        for group in self._groups.values():
            if group.keeper.pid is not None:
                found |= dict.fromkeys(group.sections, group.keeper.pid)
        return found

    def stalled(self) -> Sequence[str]:
        """Return the enabled pipelines that stand still although everything was tried."""
        now = clock.monotonic()
        if now - self._looked_at > 5 * AWAY_S:
            return [name for name, on in self._enabled.items() if on]
        groups = self._groups.values()
        return [name for group in groups if group.keeper.stuck(now) for name in group.sections]

    async def stop(self, timeout_s: float) -> None:
        """End all workers and the fork server."""
        if self._watching is not None:
            self._watching.cancel()
        for key in list(self._groups):
            self._close(key)
        if self._closing:
            await asyncio.wait(self._closing, timeout=timeout_s)
        self._forkserver.stop()
        self._shelf.close()

    # Inside.

    def _arrange(self) -> None:
        """Start and stop workers until there are those that the configuration and the switches ask for."""
        wanted = self._wanted()
        labels = {name: g.board.label(name) for g in self._groups.values() for name in g.sections}
        for key in list(self._groups):
            group = self._groups[key]
            if key not in wanted or not group.same(wanted[key], self._isolation):
                self._close(key)
        for name in self._pipelines:
            if not self._enabled[name]:
                self._listener.changed(PipelineStatus(name))
        for key, sections in wanted.items():
            if key not in self._groups:
                self._groups[key] = self._open(key, sections, labels)

    def _wanted(self) -> dict[str, dict[str, PipelineSection]]:
        """Group the enabled pipelines: one worker for each, or for all on one accelerator."""
        wanted: dict[str, dict[str, PipelineSection]] = {}
        for name, section in self._pipelines.items():
            if self._enabled[name]:
                accelerator = section.accelerator
                shared = accelerator.policy != "cpu"
                key = f"edgetpu {accelerator.library} {accelerator.device}" if shared else name
                wanted.setdefault(key, {})[name] = section
        return wanted

    def _open(self, key: str, sections: Mapping[str, PipelineSection], labels: Mapping[str, str]) -> _Group:
        assert len(sections) <= MAX_SEATS  # noqa: S101 - the configuration allows no more
        board = Board(sections, self._listener)
        board.labels |= {name: labels[name] for name in sections if name in labels}
        choice = Choice()
        keeper = Keeper(
            lambda: self._order(key),
            deadlines=_deadlines(sections),
            memory_mb=max(section.memory_mb for section in sections.values()),
            forkserver=self._forkserver,
            board=board,
            lost=lambda why: self._lost(key, why),
        )
        for status in board.all():
            self._listener.changed(replace(status, state="starting"))
        keeper.start()
        return _Group(sections, self._isolation, board, keeper, choice)

    def _close(self, key: str) -> None:
        group = self._groups.pop(key)
        used = [s.model for g in self._groups.values() for s in g.sections.values()]
        files = {path for model in used for path in (model.file, model.edgetpu_file) if path is not None}
        self._shelf.keep({bundled.MODEL} | files)
        task = asyncio.get_running_loop().create_task(group.keeper.stop())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _order(self, key: str) -> tuple[Order, list[int]]:
        """Build what the next worker of a group is told, with the descriptors of its models."""
        group = self._groups[key]
        cores = len(os.sched_getaffinity(0))
        threads = max(1, min(MOST_THREADS, cores // max(1, len(self._groups))))
        now = clock.monotonic()
        seats: list[SeatOrder] = []
        models: dict[Path, int] = {}  # descriptors by file
        for name, section in group.sections.items():
            policy = section.accelerator.policy
            on_tpu = policy == "require" or (policy == "prefer" and group.choice.use_it(now))
            file = section.model.edgetpu_file if on_tpu else section.model.file
            file = file or bundled.MODEL
            if file not in models and (model := await self._shelf.fetch(file)) >= 0:
                models[file] = model
            seats.append(
                SeatOrder(
                    name=name,
                    section=section.model_dump(mode="json"),
                    results=self._results or section.publish.result,
                    resume=group.board.label(name),
                    accelerator="edgetpu" if on_tpu else "cpu",
                    degraded=policy == "prefer" and not on_tpu,
                    threads=threads,
                    model=list(models).index(file) if file in models else -1,
                )
            )
        return Order(next(iter(group.sections)), os.getpid(), group.isolation, tuple(seats)), list(
            models.values()
        )

    def _lost(self, key: str, _why: str) -> bool:
        """An accelerator failed; True where the CPU takes over."""
        group = self._groups[key]
        if any(section.accelerator.policy == "require" for section in group.sections.values()):
            return False
        group.choice.failed(clock.monotonic())
        return True

    async def _watch(self) -> None:
        weighed_at = checked_at = clock.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now = clock.monotonic()
            keepers = [group.keeper for group in self._groups.values()]
            if now - self._looked_at > AWAY_S:
                for keeper in keepers:
                    keeper.forgive()
            else:
                for keeper in keepers:
                    keeper.look(now)
            self._looked_at = now
            if now - weighed_at >= WEIGH_S:
                weighed_at = now
                for keeper in keepers:
                    if keeper.pid is not None:
                        keeper.weigh(_rss_mb(keeper.pid))
            if now - checked_at >= CHECK_S:
                checked_at = now
                task = asyncio.get_running_loop().create_task(self._forkserver.check())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


def _deadlines(sections: Mapping[str, PipelineSection]) -> dict[Stage, float]:
    """Return the most patient deadlines of the pipelines that share a worker."""
    limits = [section.deadlines for section in sections.values()]
    open_s = max(limit.open_s for limit in limits)
    return {
        Stage.OPEN: open_s,
        Stage.LOAD: open_s,
        Stage.DELEGATE: open_s,
        Stage.CAPTURE: max(limit.capture_s for limit in limits),
        Stage.INVOKE: max(limit.invoke_s for limit in limits),
    }


def _rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE_MB
    except (OSError, ValueError, IndexError):
        return 0.0
