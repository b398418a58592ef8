"""Starts a worker: closes what it must not hold, gives up the network, then runs its pipelines."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

from edged.config import needs
from edged.config.pipeline import PipelineSection
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.worker_order import Order
from edged.system import isolation, sandbox
from edged.system.kernel import close_memory, name_process
from edged.worker.main_loop import WorkerMain
from edged.worker.report_pipe import Reports

log = logging.getLogger(__name__)

_MOST_FILES = 512  # stops a driver that leaks before the machine suffers


def live(data: dict[str, Any], fds: list[int]) -> NoReturn:
    """Be a worker, from the fork to the end.

    Args:
        data: the order, as JSON data.
        fds: the descriptors sent with it: the pipe to main, the heartbeat, and models.
    """
    status = 70
    try:
        order = Order.from_data(data)
        name_process(f"edged:{order.name}")
        pipe, heartbeat, *models = _only(fds)
        _limit()
        close_memory()
        reports = Reports(socket.socket(fileno=pipe))
        status = _work(order, reports, Heartbeat(heartbeat), models)
    except BaseException:
        log.exception("a defect in a worker")
    os._exit(status)  # without the fork server's clean-up


def _only(fds: list[int]) -> list[int]:
    """Close every descriptor but standard error and these; return their new numbers."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # standard output is for events, and none is printed here
    first = max(*fds, 10) + 1
    kept = [os.dup2(fd, first + n, inheritable=False) for n, fd in enumerate(fds)]
    os.closerange(3, first)
    os.closerange(first + len(fds), 1 << 16)
    return kept


def _limit() -> None:
    """Bound a worker's descriptors, and make it the first process to go when memory runs out.

    A hardened unit may refuse either; main counts both anyway.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def _work(order: Order, reports: Reports, heartbeat: Heartbeat, models: list[int]) -> int:
    sections = [PipelineSection.model_validate(pipeline.section) for pipeline in order.pipelines]
    needed = needs.of_pipelines(sections)
    own = sandbox.confine(needed)
    walls = () if needed.network else isolation.ordered({*order.walls, *own.holds})
    if not needed.network and order.isolation == "required" and not isolation.suffices(walls):
        for pipeline in order.pipelines:
            reports.send(
                worker_messages.Fault(
                    pipeline.name,
                    "isolation",
                    "none",
                    f"{isolation.not_isolated('this worker', walls)}; {isolation.REMEDY}",
                )
            )
        return os.EX_NOPERM
    sys.setswitchinterval(0.0005)  # the model's thread must not wait 5 ms for the capture thread
    host = WorkerMain(order, reports, heartbeat, own, isolation=walls, network=needed.network)
    return host.run(models)
