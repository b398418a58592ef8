"""Keeps one worker running: starts it, takes its reports, kills it when it is overdue, starts it again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from edged.errors import Reason
from edged.ipc import worker_messages
from edged.ipc.codec import WireError
from edged.ipc.heartbeat import Stage
from edged.supervisor.accelerator_probe import in_words
from edged.supervisor.accelerators import Loss
from edged.supervisor.fatal_samples import FROM_OUTSIDE, FatalSamples, decoded_by, is_certain
from edged.supervisor.places import Places
from edged.supervisor.stall_detector import StallDetector
from edged.supervisor.worker_process import WorkerProcess
from edged.system import clock, isolation, kernel
from edged.system.backoff import between_restarts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from edged.ipc.worker_messages import Features, Ready, Report
    from edged.ipc.worker_order import Order
    from edged.supervisor.forkserver_client import ForkServer
    from edged.supervisor.pipeline_status import StatusBoard
    from edged.supervisor.report_screen import ReportScreens
    from edged.system.ending import Ending

log = logging.getLogger(__name__)

AWAY_S = 2.0  # without a look for this long, this process was suspended, and reports pile up
KILLED_S = 10.0  # a killed process that is still there after this is stuck in the kernel
STOP_S = 1.3  # for a worker to close its sources
GONE_S = 0.3  # for a killed process to be gone
SILENT_S = 3.0  # a thread that waits updates its beat every second
MOST_FILES = 256  # open files of a worker; a camera takes a few dozen
ON_ACCELERATOR = frozenset({Stage.DELEGATE, Stage.LOAD, Stage.INVOKE})
_IN_KERNEL = (
    "and stays in the kernel, where no signal reaches it: check the cable of its camera, and reboot the "
    "board; dmesg says more"
)
_FATAL = frozenset({"model", "driver", "accelerator", "isolation", "defect"})  # a worker ends after these


class WorkerLifecycle:
    """One worker, over all its restarts.

    Args:
        order: builds the order for the next worker, with descriptors of its models; called for each one.
        deadlines: the longest time for each stage, in s.
        memory_mb: a worker that takes more is replaced.
        forkserver: forks the workers.
        status_board: the statuses of its pipelines.
        screens: decide what to take of the reports of its pipelines.
        lost: called with a sentence and the way when the accelerator was lost. It may retire this lifecycle.
        fatal: takes what workers decoded when they ended.
        places: takes how far its sources have come.
        features: takes what a taught model sees in the last picture.
        after: tasks to wait for before the first start: the ends of workers that hold the same cameras.
    """

    def __init__(
        self,
        order: Callable[[], Awaitable[tuple[Order, Sequence[int]]]],
        *,
        deadlines: Mapping[Stage, float],
        memory_mb: float,
        forkserver: ForkServer,
        status_board: StatusBoard,
        screens: ReportScreens,
        lost: Callable[[str, Loss], object] = lambda _why, _loss: None,
        fatal: FatalSamples | None = None,
        places: Places | None = None,
        features: Callable[[Features], object] = lambda _features: None,
        after: Collection[asyncio.Task[None]] = (),
    ) -> None:
        self._order = order
        self._deadlines = deadlines
        self._memory_mb = memory_mb
        self._forkserver = forkserver
        self._status_board = status_board
        self._screens = screens
        self._looked_at = clock.monotonic()
        self._lost = lost
        self._fatal = fatal or FatalSamples()
        self._places = places or Places()
        self._features = features
        self._after = after
        self._backoff = between_restarts()
        self._worker: WorkerProcess | None = None
        self._watch: StallDetector | None = None
        self._task: asyncio.Task[None] | None = None
        self._pausing = False
        self._cause = self._how = ""  # why this worker was killed, and the same in a word
        self._decoded: Mapping[str, int] = {}  # what it decoded then, where that may be the cause
        self._replaced = False  # it was asked to make room for another one; nothing is wrong
        self._killed_at: float | None = None
        self._in_kernel = False  # it was killed and stays
        self._explained: set[str] = set()  # the pipelines whose fault the worker reported itself
        self._accelerated = False
        self._accelerator_failed = False
        self._ran = False  # this worker classified something
        self._loss = Loss.FAILED
        self._crashed_at: float | None = None
        self._retired = False
        self._off: set[str] = set()  # the pipelines of this worker that pause …
        self._gone: set[str] = set()  # … and those whose source ended

    @property
    def pid(self) -> int | None:
        """The worker's process id, while there is one."""
        return self._worker.pid if self._worker is not None else None

    @property
    def settled(self) -> bool:
        """Return whether each pipeline runs, has ended, or has a fault."""
        return all(
            status.state in {"running", "ended"} or bool(status.fault) for status in self._status_board.all()
        )

    def start(self, pause_s: float = 0.0) -> None:
        """Start a worker, after a pause."""
        self._task = asyncio.get_running_loop().create_task(self._start(pause_s))

    def hurry(self) -> None:
        """Start at once where a pause is being waited for: something changed for the better."""
        if self._pausing and self._task is not None and not self._retired:
            self._task.cancel()
            self.start()

    async def _start(self, pause_s: float) -> None:
        self._pausing = True
        await asyncio.sleep(pause_s)
        self._pausing = False
        if self._after:
            await asyncio.wait(self._after)
            self._after = ()
        if self._idle():  # what was left to run was switched off meanwhile
            return
        try:
            await self._fork()
        except OSError as error:
            self._status_board.fault("defect", str(error), state="waiting")
        except Exception as error:
            log.exception("a worker cannot be started")
            self._status_board.fault("defect", f"a worker cannot be started: {error}", state="waiting")
        else:
            return
        self.start(max(0.2, self._backoff.pause_s(clock.monotonic())))

    async def _fork(self) -> None:
        order, models = await self._order()
        worker = WorkerProcess(order, self, models)
        try:
            self._status_board.starting()
            worker.forked(process := await self._forkserver.fork(worker))
        except BaseException:
            worker.discard()
            raise
        self._worker = worker
        self._cause, self._killed_at, self._replaced, self._accelerator_failed = "", None, False, False
        self._ran = False
        self._decoded = {}
        self._loss = Loss.FAILED
        self._explained = set()
        self._accelerated = any(pipeline.accelerator != "cpu" for pipeline in order.pipelines)
        captures = [worker.heartbeat.capture(slot) for slot in range(len(order.pipelines))]
        self._watch = StallDetector([worker.heartbeat.model(), *captures], self._deadlines)
        self._status_board.started(process.pid, [pipeline.name for pipeline in order.pipelines])
        self._off, self._gone = set(), set()
        self.switch()

    def command(self, pipeline: str, verb: str) -> bool:
        """Send the worker a command; return False where there is no worker that could take it."""
        return self._worker is not None and self._worker.send(pipeline, verb)

    def switch(self) -> None:
        """Let the worker run those of its pipelines that are on; start another one where it lacks one."""
        worker, on = self._worker, {status.name for status in self._status_board.all()}
        if worker is None:
            if not self._idle() and (self._task is None or self._task.done()):
                self.start()
            return
        there = {pipeline.name for pipeline in worker.order.pipelines} - self._gone
        if any(s.state != "ended" and s.name not in there for s in self._status_board.all()):
            self.replace("a pipeline was switched on")
            return
        for name in sorted((there - on) ^ self._off):
            self._off ^= {name}
            worker.send(name, "off" if name in self._off else "on")

    def reported(self, worker: WorkerProcess, report: Report) -> None:
        """Apply a report to the status of its pipeline.

        Raises:
            WireError: no worker in order sends it.
        """
        if worker is not self._worker:
            return
        behind = clock.monotonic() - self._looked_at > AWAY_S
        screened = self._screens.check(report, behind=behind)
        if screened is None:
            return
        report = screened
        if self._passed_on(report):
            return
        if isinstance(report, worker_messages.Ended):
            self._places.ended(report.pipeline)
            self._gone.add(report.pipeline)
        if isinstance(report, worker_messages.Fault):
            if report.kind == "accelerator":
                self._accelerator_failed = True
                self._loss = Loss.ABSENT if report.reason == Reason.ABSENT.value else Loss.FAILED
            if report.kind in _FATAL or report.reason == Reason.KEPT.value:
                self._explained.add(report.pipeline)
        elif isinstance(report, worker_messages.Ready):
            report = self._confirmed(worker, report)
        elif isinstance(report, worker_messages.Running):
            self._explained.discard(report.pipeline)
            self._ran = True
        self._status_board.take(report)

    def _passed_on(self, report: Report) -> bool:
        """Pass on a report that says nothing about the status; return whether it is one."""
        if isinstance(report, worker_messages.Done):
            self._places.done(report)
        elif isinstance(report, worker_messages.Features):
            self._features(report)
        else:
            return False
        return True

    def _confirmed(self, worker: WorkerProcess, ready: Ready) -> Ready:
        """Return what a worker reports of its walls as far as the kernel shows it.

        Raises:
            WireError: it reports that it may run, and it may not.
        """
        held = isolation.confirmed(worker.pid or 0, ready.isolation, self._forkserver.walls)
        enough = ready.network or isolation.suffices(held) or not isolation.suffices(ready.isolation)
        if worker.order.isolation == "required" and not enough:
            raise WireError("walls that the kernel does not show")
        return replace(ready, isolation=held)

    def misbehaved(self, worker: WorkerProcess, what: str) -> None:
        """Replace a worker that sends what no worker in order sends."""
        self._end(worker, what, "nonsense")

    def exited(self, worker: WorkerProcess, how: Ending) -> None:
        """Start the next worker, unless there is nothing left to run."""
        self._worker, self._watch, self._in_kernel = None, None, False
        if self._idle():
            return
        now = clock.monotonic()
        if self._replaced or how.wanted:
            self._status_board.replaced(self._cause or str(how))
            self.start()
            return
        blamed = self._accelerated and self._blame(worker.stage, how, now)
        why = self._cause or str(how)
        if blamed and not self._cause and not self._ran and worker.stage in ON_ACCELERATOR:
            why = in_words(how)
        explained = frozenset() if self._cause else frozenset(self._explained)
        word = self._how if self._cause else "crashed" if how.signal else "ended"
        if not blamed and self._ended_by_a_sample(worker, how):
            word = "photograph"
            why += " while it decoded a photograph, which is left out from now on"
            explained = frozenset()
        kind = "accelerator" if blamed else "defect"
        self._status_board.exited(kind, word, f"the worker {why}", explained)
        if blamed:
            last_error = next(status.last_error for status in self._status_board.all() if status.last_error)
            self._lost(last_error, self._loss)
        if self._idle():  # another lifecycle took over
            return
        pause_s = self._backoff.pause_s(now)
        if any(pipeline.name not in explained for pipeline in worker.order.pipelines):
            log.warning("worker %s %s; starting it again%s", worker.order.name, why, _in(pause_s))
        self.start(pause_s)

    def _ended_by_a_sample(self, worker: WorkerProcess, how: Ending) -> bool:
        """Return whether a worker ended by what it decoded, which the next one will leave out."""
        if self._cause:
            found = self._fatal.blame(self._decoded, certain=True)
        elif how.status:
            found = self._fatal.blame(worker.decoded, certain=is_certain(how, worker.stage))
        else:
            found = False
        if found and self._fatal.may_hurry([pipeline.name for pipeline in worker.order.pipelines]):
            self._backoff.reset()  # the cause is gone
        return found

    def _blame(self, stage: Stage, how: Ending, now: float) -> bool:
        """Return whether the accelerator is to blame for the worker's end."""
        if self._accelerator_failed:
            return True
        if self._cause or not how.signal or how.signal in FROM_OUTSIDE:
            return False
        again = self._crashed_at is not None and now - self._crashed_at < self._backoff.reset_after_s
        self._crashed_at = now
        return stage in ON_ACCELERATOR or again  # its library has threads, which crash at any time

    def look(self, now: float) -> None:
        """Kill the worker where a stage is overdue."""
        self._looked_at = now
        worker, stall_detector = self._worker, self._watch
        if worker is None or stall_detector is None:
            return
        if self._killed_at is not None:
            self._look_for_killed(worker, now - self._killed_at)
            return
        overdue = stall_detector.look(now)
        if overdue is not None:
            self._accelerator_failed |= overdue.stage in ON_ACCELERATOR
            if overdue.stage is Stage.DELEGATE:
                self._loss = Loss.SLOW
            if overdue.stage is Stage.IDLE:
                # A library that hangs with Python's lock keeps every thread from updating its beat.
                model = worker.heartbeat.model().read()
                self._accelerator_failed |= model.stage in ON_ACCELERATOR or now - model.since > SILENT_S
            self._end(worker, overdue.sentence, "hung", decoding=overdue.stage is Stage.CAPTURE)

    def _look_for_killed(self, worker: WorkerProcess, since_s: float) -> None:
        """Report a killed worker that stays, as its driver hangs in the kernel where no signal reaches it."""
        in_kernel = since_s > KILLED_S and worker.pid is not None and kernel.is_stuck(worker.pid)
        if in_kernel and not self._in_kernel:
            self._status_board.fault("defect", f"the worker {self._cause} {_IN_KERNEL}", state="waiting")
        self._in_kernel = in_kernel

    def weigh(self, rss_mb: float) -> None:
        """Kill the worker where it exceeds its bounds of memory or open files, which it counts itself."""
        if self._worker is None or self._killed_at is not None:
            return
        files = self._worker.heartbeat.files
        if rss_mb > self._memory_mb:
            why = f"had grown to {rss_mb:.0f} MB, over {self._memory_mb:g}"
            self._end(self._worker, why, "memory", decoding=True)
        elif files > MOST_FILES:
            self._end(
                self._worker, f"had {files} files open, over {MOST_FILES}: something leaks them", "files"
            )

    def forgive(self, now: float) -> None:
        """Extend the deadlines: this process itself was suspended."""
        self._screens.refill()
        if self._watch is not None:
            self._watch.forgive(now)

    def stuck(self, now: float) -> bool:
        """Return whether nothing that can be done here makes this worker progress, and a restart may.

        A restart of the service does not reach a worker that hangs in the kernel, and would stop the others.
        """
        if self._in_kernel:
            return False
        if self._killed_at is not None and self._worker is not None:
            return now - self._killed_at > KILLED_S
        return self._worker is None and self._task is not None and self._task.done() and not self._idle()

    def _idle(self) -> bool:
        return self._retired or self._status_board.ended()

    def _end(self, worker: WorkerProcess, why: str, how: str, *, decoding: bool = False) -> None:
        """Kill a worker.

        Args:
            worker: the worker.
            why: the predicate of a sentence about it.
            how: the same in a word.
            decoding: what it decodes may be the cause.
        """
        if self._killed_at is None:
            self._cause, self._how, self._killed_at = why, how, clock.monotonic()
            if decoding:
                self._decoded = decoded_by(worker.heartbeat, [p.name for p in worker.order.pipelines])
        worker.kill()

    def replace(self, why: str) -> None:
        """Start another worker with a new order in place of this one, which has no fault."""
        if self._worker is None:
            self.hurry()
        elif self._killed_at is None:
            self._replaced, self._cause, self._killed_at = True, why, clock.monotonic()
            asyncio.get_running_loop().call_later(STOP_S, self._worker.kill)
            self._worker.ask_to_stop()

    def retire(self) -> None:
        """Start no more workers; :meth:`stop` ends the current one."""
        self._retired = True
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def stop(self) -> None:
        """End the worker: ask, wait, kill."""
        self.retire()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        worker = self._worker
        if worker is None:
            return
        worker.ask_to_stop()
        if not await worker.ended(STOP_S):
            worker.kill()
            await worker.ended(GONE_S)


def _in(pause_s: float) -> str:
    return f" in {pause_s:g} s" if pause_s else ""
