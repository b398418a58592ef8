"""The first moments of a worker: whose child it is, what it holds, and that it has no network."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from edged import sources
from edged.config.source import SOURCES
from edged.ipc import worker_messages
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.worker_order import Order
from edged.system.isolation import REMEDY, not_isolated
from edged.system.kernel import close_memory, die_with_parent, name_process
from edged.worker import sandbox
from edged.worker.main_loop import WorkerMain
from edged.worker.report_pipe import Reports

log = logging.getLogger(__name__)

_ADOPTION_S = 5.0
_MOST_FILES = 512  # a driver that leaks meets this before the machine suffers


def live(data: bytes, fds: list[int]) -> NoReturn:
    """Be a worker, from the fork to the end.

    Args:
        data: the order.
        fds: what came with it: the pipe to main, the heartbeat, and models.
    """
    status = 70
    try:
        order = Order.from_json(data)
        if order.adopts:  # or else the end of main shows in the pipe alone
            _await_adoption(order.main)
        name_process(f"edged:{order.name}")
        close_memory(to_others=False)  # main counts what it has open
        pipe, heartbeat, *models = _only(fds)
        _limit()
        reports = Reports(socket.socket(fileno=pipe))
        status = _work(order, reports, Heartbeat(heartbeat), models)
    except BaseException:
        log.exception("a defect in a worker")
    os._exit(status)  # no clean-up of the fork server's things


def _await_adoption(main: int) -> None:
    """Wait until the process between is gone and main is the parent."""
    deadline = time.monotonic() + _ADOPTION_S
    while os.getppid() != main:
        if time.monotonic() > deadline:
            os._exit(0)
        time.sleep(0.0002)
    die_with_parent(main)


def _only(fds: list[int]) -> list[int]:
    """Close every descriptor but standard error and these, and return these as they are now."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # standard output is for events, and none is printed here
    first = max(*fds, 10) + 1
    kept = [os.dup2(fd, first + n, inheritable=False) for n, fd in enumerate(fds)]
    os.closerange(3, first)
    os.closerange(first + len(fds), 1 << 16)
    return kept


def _limit() -> None:
    """Bound what a worker can take from others: descriptors; and memory, by being the first to go.

    A hardened unit may refuse either; main counts both anyway.
    """
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_FILES, _MOST_FILES))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")


def _work(order: Order, reports: Reports, heartbeat: Heartbeat, models: list[int]) -> int:
    networked = any(
        sources.needs_network(SOURCES.read(pipeline.section["source"])) for pipeline in order.pipelines
    )
    if networked:
        sandbox.keep_network()
        isolation: tuple[str, ...] = ()
    else:
        isolation = sandbox.close_network()
    if not networked and not isolation and order.isolation == "required":
        for pipeline in order.pipelines:
            reports.send(worker_messages.Fault(pipeline.name, "isolation", "none", _NO_ISOLATION))
        return os.EX_NOPERM
    sys.setswitchinterval(0.0005)  # the model's thread must not wait 5 ms for the capture thread
    host = WorkerMain(order, reports, heartbeat, isolation=isolation, network=networked)
    return host.run(models)


_NO_ISOLATION = f"{not_isolated('this worker')}; {REMEDY}"
