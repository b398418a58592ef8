"""Makes all checks one after the other: their order, their deadlines, and the verdict of one that fails."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from pathlib import Path
from typing import TYPE_CHECKING

from edged.system.patience import within
from edged.tools.doctor import subject as _subject
from edged.tools.doctor.checks import (
    accelerators,
    board,
    broker,
    cameras,
    configuration,
    inference,
    microphones,
    sensors,
    serial_ports,
    service,
    software,
    state_dir,
)
from edged.tools.doctor.verdict import Check, Verdict, error
from edged.tools.doctor.worker_runs import Run, Workers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from edged.tools.doctor.subject import Subject

SHORT_S = 10.0  # for checks that only read files
ASKING_S = 100.0  # for checks that start processes, each with its own deadline
WORKING_S = 400.0  # for checks that run workers, which are supervised themselves
START_S = 20.0


def examine(
    path: Path,
    *,
    given: bool,
    begin: Callable[[str], object],
    tell: Callable[[Check], object],
    root: Path = Path("/"),
) -> list[Check]:
    """Make every check.

    Args:
        path: the configuration file.
        given: whether the file has to exist.
        begin: receives the name of each check before it is made.
        tell: receives each check after it was made.
        root: the root of the file system; another one in tests.
    """

    async def life() -> list[Check]:
        workers = Workers(root)
        with contextlib.suppress(OSError):  # the checks that need the fork server meet it again
            workers.prepare()
        try:
            subject = await _subject_of(path, root, given=given)
            return await _Examination(subject, workers, begin, tell).run()
        finally:
            await workers.stop()

    return asyncio.run(life())


async def _subject_of(path: Path, root: Path, *, given: bool) -> Subject:
    """Return the subject; only the machine where the rest cannot be read."""
    try:
        return await within(START_S, lambda: _subject.subject(path, root, given=given))
    except TimeoutError:
        why_not = f"{path}, or systemd, does not respond"
    except Exception as problem:  # noqa: BLE001 - there is enough to check without it
        why_not = f"{path} cannot be read: {problem}"
    return _subject.Subject(path, None, why_not, given, root)


class _Examination:
    """One examination."""

    def __init__(
        self,
        subject: Subject,
        workers: Workers,
        begin: Callable[[str], object],
        tell: Callable[[Check], object],
    ) -> None:
        self._subject = subject
        self._workers = workers
        self._begin = begin
        self._tell = tell
        self._on_cpu = Run()

    async def run(self) -> list[Check]:
        """Make the checks; slow ones, and those that others depend on, come first."""
        now = self._subject
        aside = functools.partial(self._aside, SHORT_S)
        asking = functools.partial(self._aside, ASKING_S)
        checks: list[tuple[str, Callable[[], Awaitable[Verdict]]]] = [
            ("python", aside(software.python)),
            ("runtime", asking(software.runtime)),
            ("cpu-inference", self._cpu),
            ("isolation", aside(lambda: inference.isolation(self._on_cpu, now.config))),
            ("edgetpu", lambda: accelerators.edgetpu(now, self._workers)),
            ("accelerator", lambda: accelerators.external(now, self._workers)),
            ("cameras", lambda: cameras.cameras(now, self._workers)),
            ("microphones", lambda: microphones.microphones(now, self._workers)),
            ("drivers", asking(lambda: software.drivers(now))),
            ("serial-ports", aside(lambda: serial_ports.serial_ports(now))),
            ("sensors", asking(lambda: sensors.sensors(now))),
            ("configuration", asking(lambda: configuration.configuration(now))),
            ("broker", aside(lambda: broker.broker(now))),
            ("state-dir", asking(lambda: state_dir.state_dir(now))),
            ("clock", aside(board.clock_synced)),
            ("service", aside(lambda: service.examine(now.unit))),
            ("board", aside(lambda: board.board(now.root))),
            ("memory", aside(lambda: board.memory(now.root, now.config, running=bool(now.daemon)))),
        ]
        return [await self._one(name, check) for name, check in checks]

    @staticmethod
    def _aside(seconds: float, function: Callable[[], Verdict]) -> Callable[[], Awaitable[Verdict]]:
        return lambda: within(seconds, function)

    async def _cpu(self) -> Verdict:
        self._on_cpu = await inference.on_cpu(self._workers)
        return inference.cpu_inference(self._on_cpu, self._workers.last_words)

    async def _one(self, name: str, check: Callable[[], Awaitable[Verdict]]) -> Check:
        """Make one check; whatever happens in it becomes a verdict."""
        self._begin(name)
        try:
            async with asyncio.timeout(WORKING_S):
                verdict = await check()
        except TimeoutError:
            verdict = error("no answer in time: something hangs", "dmesg may show what")
        except Exception as defect:  # noqa: BLE001 - the others go on
            verdict = error(
                f"{type(defect).__name__}: {defect}", "this is a defect of edged, please report it"
            )
        detail = " ".join(verdict.detail.split())
        made = Check(name, verdict.status, detail, " ".join(verdict.fix.split()))
        self._tell(made)
        return made
