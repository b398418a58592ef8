from __future__ import annotations

import asyncio
import signal
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from edged.events import ModelTag
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Reading, Stage
from edged.ipc.worker_order import Order, PipelineOrder
from edged.supervisor import PipelineStatus, order_builder, worker_group, worker_lifecycle
from edged.supervisor.pipeline_status import StatusBoard
from edged.supervisor.stall_detector import Overdue
from edged.supervisor.worker_group import WorkerGroup
from edged.supervisor.worker_lifecycle import KILLED_S, WorkerLifecycle
from edged.system import clock, kernel
from edged.system.ending import Ending

if TYPE_CHECKING:
    from collections.abc import Coroutine

PIPELINES = (
    PipelineOrder("porch", {}, accelerator="edgetpu"),
    PipelineOrder("attic", {}, accelerator="edgetpu"),
)
TPU = Order("porch", "required", PIPELINES)
CPU = Order("porch", "required", (PipelineOrder("porch", {}), PipelineOrder("attic", {})))


class Beat(NamedTuple):
    """A capture thread's line of the heartbeat."""

    reading: Reading
    mark: int

    def read(self) -> Reading:
        return self.reading


class Held:
    """A worker as its lifecycle holds it, without a process."""

    born_workers: list[Held]

    def __init__(self, order: Order, owner: WorkerLifecycle, models: object) -> None:
        del models
        self.order = order
        self.owner = owner
        self.pid: int | None = None
        self.stage = Stage.IDLE
        self.decoded: dict[str, int] = {}
        self.mark = 0
        self.files = 20
        self.killed = self.asked = self.discarded = False
        self.sent: list[tuple[str, str]] = []
        self.heartbeat = self
        self.reading = Reading(Stage.GONE, 0.0)

    def model(self) -> Held:
        return self

    def capture(self, slot: int) -> Beat:
        return Beat(self.reading, self.mark + slot if self.mark else 0)

    def read(self) -> Reading:
        return self.reading

    def forked(self, process: Forked) -> None:
        self.pid = process.pid
        self.born_workers.append(self)

    def kill(self) -> None:
        self.killed = True

    def send(self, pipeline: str, verb: str) -> bool:
        self.sent.append((pipeline, verb))
        return True

    def ask_to_stop(self) -> None:
        self.asked = True

    def discard(self) -> None:
        self.discarded = True

    async def ended(self, timeout_s: float) -> bool:
        await asyncio.sleep(min(timeout_s, 0.01))
        return False


class Forked:
    """A process that the fork server forked."""

    def __init__(self, pid: int) -> None:
        self.pid = pid


class Server:
    """Forks, or does not."""

    walls: tuple[str, ...] = ()

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.asked = 0

    async def fork(self, _worker: Held) -> Forked:
        self.asked += 1
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        return Forked(4711 + self.asked)


class Silent:
    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None: ...

    def changed(self, status: PipelineStatus) -> None: ...


class Open:
    """Screens that let everything pass."""

    def __init__(self) -> None:
        self.behind: list[bool] = []
        self.refilled = 0

    def check(self, report: worker_messages.Report, *, behind: bool) -> worker_messages.Report | None:
        self.behind.append(behind)
        return None if isinstance(report, worker_messages.Labels) else report

    def refill(self) -> None:
        self.refilled += 1


class Stand:
    """A lifecycle on its test stand."""

    def __init__(self, order: Order, *failures: Exception) -> None:
        self.status_board = StatusBoard([pipeline.name for pipeline in order.pipelines], Silent())
        self.server = Server(*failures)
        self.lost: list[str] = []
        self.order = order

        async def build() -> tuple[Order, list[int]]:
            await asyncio.sleep(0)
            return self.order, []

        server: Any = self.server
        self.screens = Open()
        screens: Any = self.screens
        self.lifecycle = WorkerLifecycle(
            build,
            deadlines={},
            memory_mb=100,
            forkserver=server,
            status_board=self.status_board,
            screens=screens,
            lost=lambda why, _loss: self.lost.append(why),
        )

    @classmethod
    async def started(cls, order: Order, *failures: Exception) -> Stand:
        stand = cls(order, *failures)
        stand.lifecycle.start()
        await stand.born()
        return stand

    @property
    def worker(self) -> Held:
        return Held.born_workers[-1]

    async def born(self, count: int = 1) -> Held:
        for _ in range(2000):
            if len(Held.born_workers) >= count and self.lifecycle.pid is not None:
                return self.worker
            await asyncio.sleep(0.001)
        raise AssertionError("no worker was born")

    def says(self, report: Any) -> None:
        self.lifecycle.reported(self.worker, report)

    def runs(self) -> None:
        for pipeline in self.order.pipelines:
            self.says(
                worker_messages.Ready(pipeline.name, ModelTag("m", "0" * 8), "litert", pipeline.accelerator)
            )
            self.says(worker_messages.Running(pipeline.name))

    def dies(self, status: int = -signal.SIGKILL, stage: Stage = Stage.IDLE) -> None:
        self.worker.stage = stage
        self.lifecycle.exited(self.worker, Ending(status))

    def status(self, name: str = "porch") -> PipelineStatus:
        return next(status for status in self.status_board.all() if status.name == name)


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    Held.born_workers = []
    monkeypatch.setattr(worker_lifecycle, "WorkerProcess", Held)


def run(scenario: Coroutine[object, object, None]) -> None:
    asyncio.run(scenario)


def test_a_worker_that_cannot_be_forked_is_tried_again() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU, OSError("no memory"), ValueError("a defect"))
        assert stand.server.asked == 3
        assert stand.status().last_error == "a worker cannot be started: a defect"
        stand.runs()
        assert stand.status().state == "running"

    run(scenario())


def test_the_reason_that_a_worker_gave_counts_only_for_those_it_spoke_of() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.says(worker_messages.Fault("porch", "model", "file", "m.tflite: truncated"))
        stand.dies(78)
        assert stand.status("porch").last_error == "m.tflite: truncated"
        assert stand.status("attic").last_error == "the worker ended with exit status 78"

    run(scenario())


def test_a_camera_that_could_not_be_given_back_explains_the_end() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.says(worker_messages.Ready("porch", ModelTag("m", "0" * 8), "litert", "cpu"))
        stand.says(worker_messages.Fault("porch", "source", "kept", "camera 0 could not be given back"))
        stand.dies(75)
        assert (stand.status().fault, stand.status().reason) == ("source", "kept")
        assert stand.status().last_error == "camera 0 could not be given back"

    run(scenario())


def test_an_old_reason_does_not_explain_a_new_end() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.says(worker_messages.Ready("porch", ModelTag("m", "0" * 8), "litert", "cpu"))
        stand.says(worker_messages.Fault("porch", "picture", "black", "the picture is black"))
        stand.says(worker_messages.Running("porch"))
        stand.dies(-signal.SIGSEGV)
        assert stand.status().fault == "defect"
        assert stand.status().last_error == "the worker was ended by SIGSEGV"

    run(scenario())


@pytest.mark.parametrize(
    ("order", "status", "stage", "blamed"),
    [
        (TPU, -signal.SIGSEGV, Stage.INVOKE, True),
        (TPU, -signal.SIGABRT, Stage.DELEGATE, True),
        (TPU, -signal.SIGABRT, Stage.IDLE, False),
        (TPU, -signal.SIGKILL, Stage.INVOKE, False),
        (TPU, 70, Stage.IDLE, False),
        (CPU, -signal.SIGSEGV, Stage.INVOKE, False),
    ],
)
def test_who_is_to_blame(order: Order, status: int, stage: Stage, blamed: bool) -> None:
    async def scenario() -> None:
        stand = await Stand.started(order)
        stand.runs()
        stand.dies(status, stage)
        assert bool(stand.lost) is blamed
        assert stand.status().fault == ("accelerator" if blamed else "defect")

    run(scenario())


@pytest.mark.parametrize(
    ("order", "stage", "ran", "foreign"),
    [
        (TPU, Stage.DELEGATE, False, True),
        (TPU, Stage.LOAD, False, True),
        (TPU, Stage.INVOKE, False, True),
        (TPU, Stage.INVOKE, True, False),
        (TPU, Stage.IDLE, False, False),
        (CPU, Stage.LOAD, False, False),
    ],
)
def test_a_crash_before_the_first_answer_is_that_of_a_library_for_another_runtime(
    order: Order, stage: Stage, ran: bool, foreign: bool
) -> None:
    async def scenario() -> None:
        stand = await Stand.started(order)
        if ran:
            stand.runs()
        stand.dies(-signal.SIGSEGV, stage)
        assert stand.status().last_error.startswith("the worker was ended by SIGSEGV")
        assert ("built for another TensorFlow Lite" in stand.status().last_error) is foreign

    run(scenario())


def test_a_crash_out_of_nowhere_is_the_accelerators_the_second_time() -> None:
    async def scenario() -> None:
        stand = Stand(TPU)
        stand.lifecycle.start()
        for count in (1, 2):
            await stand.born(count)
            stand.runs()
            stand.dies(-signal.SIGABRT)
        assert stand.lost == ["the worker was ended by SIGABRT"]

    run(scenario())


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (
            -signal.SIGSEGV,
            "was ended by SIGSEGV while it decoded a photograph, which is left out from now on",
        ),
        (-signal.SIGKILL, "was ended by SIGKILL"),
        (0, "ended with exit status 0"),
    ],
)
def test_what_a_worker_decoded_when_it_ended_may_be_to_blame(status: int, sentence: str) -> None:
    async def scenario() -> None:
        stand = Stand(CPU)
        stand.lifecycle.start()
        (await stand.born()).decoded = {"porch": 7}
        stand.runs()
        stand.dies(status)
        assert stand.status().last_error == f"the worker {sentence}"

    run(scenario())


def test_a_worker_that_grows_while_it_decodes_grows_by_that() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        worker = stand.worker
        stand.runs()
        worker.reading, worker.mark = Reading(Stage.CAPTURE, 0.0), 7
        stand.lifecycle.weigh(101.0)
        worker.reading, worker.mark = Reading(Stage.IDLE, 0.0), 0  # until the signal arrives
        stand.dies()
        assert "while it decoded a photograph" not in stand.status().last_error, (
            "two pipelines decoded one each"
        )
        worker = await stand.born(2)
        worker.reading, worker.mark = Reading(Stage.CAPTURE, 0.0), 7
        stand.lifecycle.weigh(101.0)
        stand.dies()
        assert stand.status().last_error.startswith(
            "the worker had grown to 101 MB, over 100 while it decoded"
        )

    run(scenario())


def test_a_worker_beyond_its_bounds_is_killed_once() -> None:
    async def scenario() -> None:
        stand = await Stand.started(TPU)
        worker = stand.worker
        stand.runs()
        stand.lifecycle.weigh(99.0)
        assert not worker.killed
        stand.lifecycle.weigh(101.0)
        assert worker.killed
        stand.lifecycle.weigh(50.0)
        stand.dies()
        assert stand.status().last_error == "the worker had grown to 101 MB, over 100"
        assert stand.lost == []

    run(scenario())


@pytest.mark.parametrize(
    ("overdue", "model", "since", "blamed"),
    [
        (Stage.INVOKE, Stage.INVOKE, 5.2, True),
        (Stage.IDLE, Stage.INVOKE, 4.9, True),
        (Stage.IDLE, Stage.IDLE, 0.9, False),
        (Stage.IDLE, Stage.IDLE, 4.9, True),
        (Stage.CAPTURE, Stage.INVOKE, 0.1, False),
    ],
)
def test_who_is_to_blame_for_silence(overdue: Stage, model: Stage, since: float, blamed: bool) -> None:
    async def scenario() -> None:
        stand = await Stand.started(TPU)
        worker = stand.worker
        stand.runs()
        worker.reading = Reading(model, clock.monotonic() - since)

        class Look:
            def look(self, _now: float) -> Overdue:
                return Overdue(overdue, "hung")

        stand.lifecycle._watch = Look()
        stand.lifecycle.look(clock.monotonic())
        assert worker.killed
        stand.dies()
        assert bool(stand.lost) is blamed

    run(scenario())


def test_a_killed_process_that_stays_is_said_to_stand_still() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        now = clock.monotonic()
        assert not stand.lifecycle.stuck(now + 1000)
        stand.lifecycle.misbehaved(stand.worker, "sent nonsense")
        assert not stand.lifecycle.stuck(now + KILLED_S - 1)
        assert stand.lifecycle.stuck(now + KILLED_S + 1)
        stand.dies()
        assert not stand.lifecycle.stuck(now + KILLED_S + 1)

    run(scenario())


def test_a_worker_that_hangs_in_the_kernel_asks_for_a_reboot_and_starves_no_watchdog(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.runs()
        now = clock.monotonic()
        stand.lifecycle.misbehaved(stand.worker, "hung reading a frame for 5.1 s")
        monkeypatch.setattr(kernel, "is_stuck", lambda _pid: True)
        stand.lifecycle.look(now + KILLED_S - 1)
        assert stand.status().state == "running"
        stand.lifecycle.look(now + KILLED_S + 1)
        assert (stand.status().state, stand.status().online) == ("waiting", False)
        assert "hung reading a frame for 5.1 s and stays in the kernel" in stand.status().last_error
        assert "reboot the board" in stand.status().last_error
        assert not stand.lifecycle.stuck(now + KILLED_S + 1)
        monkeypatch.setattr(kernel, "is_stuck", lambda _pid: False)
        stand.lifecycle.look(now + KILLED_S + 2)
        assert stand.lifecycle.stuck(now + KILLED_S + 2)
        stand.dies()
        assert stand.status().last_error == "the worker hung reading a frame for 5.1 s"

    run(scenario())


def test_good_news_cut_a_pause_short() -> None:
    async def scenario() -> None:
        stand = Stand(CPU)
        stand.lifecycle.start()
        for count in (1, 2):
            await stand.born(count)
            stand.dies()
        stand.lifecycle._backoff._failures = 9
        stand.lifecycle.start(3600)
        await asyncio.sleep(0)
        assert stand.server.asked == 2  # it waits for an hour
        stand.lifecycle.hurry()
        await stand.born(3)
        assert stand.server.asked == 3

    run(scenario())


def test_a_worker_that_makes_room_is_no_restart() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        worker = stand.worker
        stand.runs()
        stand.lifecycle.replace("a model file was changed")
        assert worker.asked
        stand.dies(0)
        status = stand.status()
        assert (status.state, status.restarts, status.last_error) == ("starting", 0, "")
        await stand.born(2)

    run(scenario())


def test_a_retired_lifecycle_starts_nothing() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.lifecycle.retire()
        stand.dies()
        await asyncio.sleep(0.01)
        assert stand.server.asked == 1

    run(scenario())


def test_a_worker_that_does_not_end_is_killed() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        worker = stand.worker
        await stand.lifecycle.stop()
        assert worker.asked
        assert worker.killed

    run(scenario())


def test_reports_are_screened_and_what_piled_up_while_main_was_away_is_no_flood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        now = clock.monotonic()
        stand.lifecycle.look(now)
        stand.says(worker_messages.Labels("porch", 0, 1, ("cat",)))
        stand.runs()
        assert stand.status().state == "running"
        assert not any(stand.screens.behind)
        monkeypatch.setattr(clock, "monotonic", lambda: now + worker_lifecycle.AWAY_S + 1)
        stand.says(worker_messages.Running("porch"))
        assert stand.screens.behind[-1]
        stand.lifecycle.forgive(now + worker_lifecycle.AWAY_S + 1)
        assert stand.screens.refilled == 1

    run(scenario())


def test_a_pipeline_that_is_switched_off_pauses_and_its_sister_goes_on() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.runs()
        stand.status_board.remove("attic")
        stand.lifecycle.switch()
        stand.lifecycle.switch()
        assert stand.worker.sent == [("attic", "off")]
        stand.says(worker_messages.Beat("attic", 9.0, 1.0, 1.0, 1.0, 99, {}))
        assert [status.name for status in stand.status_board.all()] == ["porch"]
        stand.status_board.add("attic")
        assert (stand.status("attic").state, stand.status("attic").frames) == ("starting", 0)
        stand.lifecycle.switch()
        assert stand.worker.sent == [("attic", "off"), ("attic", "on")]
        stand.says(worker_messages.Running("attic"))
        assert (stand.status("attic").state, stand.status("attic").runtime) == ("running", "litert")
        assert not stand.worker.asked

    run(scenario())


def test_what_is_switched_while_a_worker_starts_is_told_it_then() -> None:
    async def scenario() -> None:
        stand = Stand(CPU)
        stand.lifecycle.start()
        stand.status_board.remove("attic")
        stand.lifecycle.switch()
        await stand.born()
        assert stand.worker.sent == [("attic", "off")]

    run(scenario())


def test_a_worker_that_lacks_a_pipeline_makes_room_for_one_that_has_it() -> None:
    async def scenario() -> None:
        stand = await Stand.started(Order("porch", "required", CPU.pipelines[:1]))
        stand.status_board = stand.lifecycle._status_board = StatusBoard(["porch", "attic"], Silent())
        stand.lifecycle.switch()
        assert stand.worker.asked

    run(scenario())


def test_a_source_that_ended_begins_again_when_it_is_switched_on() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.runs()
        stand.says(worker_messages.Ended("attic"))
        stand.lifecycle.switch()
        assert not stand.worker.asked
        stand.status_board.remove("attic")
        stand.lifecycle.switch()
        stand.status_board.add("attic")
        stand.lifecycle.switch()
        assert stand.worker.asked

    run(scenario())


def test_nothing_starts_when_all_that_was_left_is_switched_off() -> None:
    async def scenario() -> None:
        stand = await Stand.started(CPU)
        stand.runs()
        stand.says(worker_messages.Ended("attic"))
        stand.dies()
        stand.status_board.remove("porch")
        stand.lifecycle.switch()
        await asyncio.sleep(0.3)
        assert len(Held.born_workers) == 1
        stand.status_board.add("porch")
        stand.lifecycle.switch()
        await stand.born(2)

    run(scenario())


def test_a_disk_that_hangs_takes_one_thread_not_one_for_each_look(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    looks: list[int] = []

    def signature(_sections: object) -> tuple[object, ...]:
        looks.append(1)
        answers.wait(10)
        return ()

    async def run() -> None:
        stand = Stand(CPU)
        group = WorkerGroup({}, "required", False, stand.status_board, stand.lifecycle)
        for _ in range(3):
            await group.renew_when_taught()
        assert len(looks) == 1
        answers.set()
        for _ in range(1000):
            await asyncio.sleep(0.01 if group.looking else 0)
        await group.renew_when_taught()
        assert len(looks) == 2

    monkeypatch.setattr(worker_group, "PATIENCE_S", 0.01)
    monkeypatch.setattr(order_builder, "signature", signature)
    asyncio.run(run())
