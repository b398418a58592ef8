"""The fork server: it has imported all that is slow to import, and forks a worker on order.

It opens nothing and has one thread, because a fork takes only one along: a lock that another thread holds
would stay locked in the child for ever. Both are checked before each fork.

::

    main                          fork server
     │  order + [pipe, heartbeat] ─▶ │ fork ─▶ between ─ fork ─▶ worker
     │ ◀── {"pid": …}              │ ◀─pid── exits: the worker becomes main's child
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
from typing import NoReturn

from edged.errors import DriverError
from edged.ipc.heartbeat import MAX_PIPELINES
from edged.ipc.worker_order import PING
from edged.system import log as logs

log = logging.getLogger(__name__)

MAX_ORDER = 1 << 18  # bytes; a configuration file has 64 KiB at most


def serve(control: socket.socket, main: int) -> NoReturn:
    """Import, say hello, fork on order, end with main.

    Args:
        control: SOCK_SEQPACKET to main.
        main: its process id.
    """
    from edged.system import kernel
    from edged.worker import warmup

    for sent in (signal.SIGINT, signal.SIGTERM):  # to the whole group, say; main is the one to stop in order
        signal.signal(sent, signal.SIG_IGN)
    kernel.die_with_parent(main)
    kernel.name_process("edged-fork")
    kernel.close_memory(to_others=True)  # this process has no walls, so no worker may reach into it
    alone = _threads()  # 1; under an emulator, which has threads of its own, more
    runtime = _preload()
    gc.collect()
    warmup.drop_untouched()
    gc.freeze()  # what is here now is never looked at again, so its pages stay shared
    _send(control, {"runtime": runtime})
    while True:
        try:
            data, fds, _flags, _address = socket.recv_fds(control, MAX_ORDER, 2 + MAX_PIPELINES)
        except OSError:
            os._exit(0)
        if not data:
            os._exit(0)
        _send(control, _forked(control, data, fds, alone))
        for fd in fds:
            os.close(fd)


def _send(control: socket.socket, answer: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # main is gone, and soon so is this process
        control.send(json.dumps(answer).encode())


def _preload() -> str:
    """Import what workers need; returns the runtime, or nothing where there is none yet."""
    import cv2

    from edged.inference import runtime
    from edged.worker import main_loop, sandbox, warmup

    cv2.setNumThreads(1)  # pictures are small, and a pool of threads does not survive a fork
    del main_loop, sandbox
    warmup.warm_up()
    with contextlib.suppress(ImportError, OSError, RuntimeError):
        import pyseccomp

        del pyseccomp
    try:
        return runtime.preload()
    except DriverError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for people; no traceback belongs to it
        return ""


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough


def _forked(control: socket.socket, data: bytes, fds: list[int], alone: int) -> dict[str, object]:
    """Fork a worker and return the answer to the order."""
    if data == PING:
        return {"alive": True}
    if _threads() > alone:
        names = ", ".join(thread.name for thread in threading.enumerate())
        return {"error": f"the fork server has more than one thread ({names}): nothing can be forked from it"}
    if len(fds) < 2:
        return {"error": "an order without a pipe and a heartbeat"}
    read, write = os.pipe()
    between = os.fork()
    if between == 0:
        os.close(read)
        _between(control, data, fds, write)
    os.close(write)
    with os.fdopen(read, "rb") as answer:
        text = answer.read(32)
    os.waitpid(between, 0)
    return {"pid": int(text)} if text else {"error": "a worker could not be forked"}


def _between(control: socket.socket, data: bytes, fds: list[int], write: int) -> NoReturn:
    """Fork the worker proper and end, so that it becomes the child of main."""
    try:
        pid = os.fork()
        if pid == 0:
            os.close(write)
            control.close()
            from edged.worker import startup

            startup.live(data, fds)
        os.write(write, str(pid).encode())
    except BaseException:
        log.exception("a worker could not be forked")
        os._exit(70)
    os._exit(0)


if __name__ == "__main__":
    logs.setup()
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
