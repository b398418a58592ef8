"""A supervisor with real workers, for tests and the laboratory: starts it, watches it, waits for things."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from edged import sources
from edged.config.root import PipelineSection
from edged.supervisor import PipelineStatus, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from edged.ipc import worker_messages

DRIVERS = Path(__file__).resolve().parent / "drivers"
PATIENCE_S = 30.0  # for what has no bound of its own: the machine may be busy


def stretched(seconds: float) -> float:
    """Return a bound for this machine now: longer where more wants to run than can."""
    return seconds * max(1.0, os.getloadavg()[0] / (2 * len(os.sched_getaffinity(0))))


def offer_lab_driver() -> None:
    """Make ``kind: lab`` known to this process and to its fork servers."""
    if str(DRIVERS) not in sys.path:
        sys.path.append(str(DRIVERS))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(DRIVERS)]))
        vars(sources._registry).pop("_others", None)  # what was found before


def withdraw_lab_driver() -> None:
    """Let this process forget it again: the schema and the messages list every driver."""
    if str(DRIVERS) in sys.path:
        sys.path.remove(str(DRIVERS))
        paths = os.environ["PYTHONPATH"].split(os.pathsep)
        os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path != str(DRIVERS))
        vars(sources._registry).pop("_others", None)


def section(source: str | dict[str, Any] = "synthetic", **keys: Any) -> PipelineSection:
    """Return a pipeline's configuration; a source may be given by its kind."""
    given = {"kind": source} if isinstance(source, str) else source
    return PipelineSection.model_validate({"source": {"interval_s": 0.05} | given} | keys)


def synthetic(**keys: Any) -> dict[str, Any]:
    """Return a small synthetic source."""
    return {"kind": "synthetic", "size": [64, 48], "interval_s": 0.05} | keys


class Crew:
    """A supervisor as a context manager, and what it said.

    Attributes:
        outcomes: with the time of their arrival.
        changes: with the time of their arrival.
    """

    def __init__(
        self, pipelines: Mapping[str, PipelineSection], *, results: bool = True, **keys: Any
    ) -> None:
        self.outcomes: list[tuple[float, worker_messages.Outcome]] = []
        self.changes: list[tuple[float, PipelineStatus]] = []
        self.supervisor = Supervisor(pipelines, listener=self, results=results, **keys)

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        assert status.model is not None
        self.outcomes.append((time.monotonic(), outcome))

    def changed(self, status: PipelineStatus) -> None:
        self.changes.append((time.monotonic(), status))

    async def __aenter__(self) -> Self:
        self.supervisor.prepare()
        await self.supervisor.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.supervisor.stop(5)

    def status(self, name: str) -> PipelineStatus:
        return self.supervisor.status()[name]

    async def until(
        self,
        done: Callable[[], object],
        what: str = "",
        *,
        within_s: float = PATIENCE_S,
        every_s: float = 0.01,
    ) -> float:
        """Wait until something is so; returns how long that took."""
        began = time.monotonic()
        while not done():
            waited = time.monotonic() - began
            if waited > within_s:
                known = {
                    name: (s.state, s.fault, s.last_error) for name, s in self.supervisor.status().items()
                }
                raise AssertionError(f"not within {within_s:g} s: {what or done}; {known}")
            await asyncio.sleep(every_s)
        return time.monotonic() - began

    async def running(self, *names: str, within_s: float = PATIENCE_S) -> float:
        """Wait until pipelines (all by default) run."""
        wanted = names or tuple(self.supervisor.status())
        return await self.until(
            lambda: all(self.status(name).state == "running" for name in wanted),
            f"running {', '.join(wanted)}",
            within_s=within_s,
        )

    async def result_after(self, name: str, since: float, within_s: float = PATIENCE_S) -> float:
        """Wait for an inference that arrives after a monotonic time; returns how long after."""
        await self.until(lambda: self.last(name) > since, f"a result of {name}", within_s=within_s)
        return next(at for at, outcome in self.outcomes if outcome.pipeline == name and at > since) - since

    async def first(self, name: str) -> worker_messages.Outcome:
        """Wait for the first inference of a pipeline, which may come after it is known to run."""
        await self.until(lambda: self.last(name), f"a first result of {name}")
        return next(outcome for _, outcome in self.outcomes if outcome.pipeline == name)

    def last(self, name: str) -> float:
        """When the latest outcome of a pipeline arrived."""
        return next((at for at, o in reversed(self.outcomes) if o.pipeline == name), 0.0)

    def longest_gap(self, name: str, since: float) -> float:
        """The longest time without a result of a pipeline, from a time until now."""
        times = [
            since,
            *(at for at, o in self.outcomes if o.pipeline == name and at > since),
            time.monotonic(),
        ]
        return max(b - a for a, b in itertools.pairwise(times))

    def pid(self, name: str) -> int:
        return self.supervisor.processes()[name]

    def probes(self) -> set[int]:
        """Return the processes that try an accelerator: workers of no pipeline."""
        return set(children()) - set(self.supervisor.processes().values())

    def forget_failures(self, name: str) -> None:
        """Let what next happens to a worker, or to the ``forkserver``, be the first time: without a pause."""
        supervisor = self.supervisor
        groups = supervisor._groups.values()
        kept = {each: group.lifecycle for group in groups for each in group.sections}
        (supervisor.forkserver if name == "forkserver" else kept[name])._backoff.reset()


_strangers: set[int] = set()


def ignore_strangers() -> None:
    """Count no process that is there already: earlier tests may have left one behind."""
    _strangers.clear()
    _strangers.update(children())


def children(pid: int | None = None) -> dict[int, str]:
    """Return the descendants of a process but bubblewrap, as ``{pid: "S edged:porch"}``: state and name."""
    parents: dict[int, int] = {}
    found: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text("utf-8", "replace")
        except OSError:
            continue
        name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
        parents[int(folder.name)] = int(rest[1])
        if name != "bwrap" and int(folder.name) not in _strangers:
            found[int(folder.name)] = f"{rest[0]} {name}"
    top = pid or os.getpid()
    return {child: what for child, what in found.items() if top in _ancestors(child, parents)}


def _ancestors(pid: int, parents: Mapping[int, int]) -> set[int]:
    above: set[int] = set()
    while (pid := parents.get(pid, 0)) and pid not in above:
        above.add(pid)
    return above


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - names are enough


def proc(pid: int, file: str) -> dict[str, str]:
    """Read a file of ``name: value`` lines of a process."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()[0] not in "ZX"
        )
    except OSError:
        return False
