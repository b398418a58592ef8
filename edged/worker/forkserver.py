"""The fork server: imports everything that is slow to import, and forks workers on request.

It opens nothing and has one thread, because a fork takes only one along: a lock that another thread holds
would stay locked in the child for ever. Both are checked before each fork. Every worker is its child: it
kills them when main wants that, reaps them, and reports how they ended. They die with it, and it ends when
main closes the socket.

::

    main                                     fork server
     │ fork: order + [pipe, heartbeat, …] ──▶ │ fork ──▶ worker
     │ ◀── {"pid": …} + [pidfd]               │
     │ sensors: [pipe, settings, page] ─────▶ │ fork, exec ──▶ sensor worker
     │ kill: pid ───────────────────────────▶ │
     │ ◀── {"exited": pid, "status": …}       │

It is started by main in namespaces of its own (:mod:`edged.system.namespaces`), or by systemd as another
user, with the listening socket as descriptor 3.
"""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

from edged.errors import DriverError
from edged.ipc.forkserver_requests import ALIVE, MAX_REQUEST
from edged.ipc.heartbeat import MAX_PIPELINES
from edged.system import child, kernel
from edged.system import log as logs
from edged.system.systemd import Notifier

log = logging.getLogger(__name__)

_LISTENER = 3  # SD_LISTEN_FDS_START of sd_listen_fds(3)
_ORPHANS_MS = 1000.0  # an orphan that ended stays in the process list for at most this long
_MOST_FDS = 4 + 3 * MAX_PIPELINES  # pipe, heartbeat, page, pictures; two models, labels of each pipeline


class ForkServer:
    """Serves one main.

    Args:
        control: SOCK_SEQPACKET to main.
        notifier: to systemd, which watches this process where it started it.
        may_show: workers may show a person their pictures, as an order demands it. Not under a service:
            there nobody gets a picture, whoever has taken main over.
    """

    def __init__(self, control: socket.socket, notifier: Notifier, *, may_show: bool) -> None:
        self._may_show = may_show
        self._control = control
        self._notifier = notifier
        self._children: dict[int, int] = {}  # process ids by pidfd
        self._alone = _threads()  # 1; under an emulator, which has threads of its own, more

    def serve(self) -> NoReturn:
        """Fork on request until main closes the socket."""
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        pause_ms = _ORPHANS_MS
        if self._notifier.watchdog_s is not None:
            pause_ms = min(pause_ms, self._notifier.watchdog_s * 500)
        while True:
            for fd, _events in poll.poll(pause_ms):
                if fd == self._control.fileno():
                    self._answer(poll)
                else:
                    poll.unregister(fd)
                    self._reap(fd)
            self._collect_orphans()
            self._notifier.watchdog()

    def _answer(self, poll: select.poll) -> None:
        try:
            data, fds, _flags, _address = socket.recv_fds(self._control, MAX_REQUEST, _MOST_FDS)
        except OSError:
            data, fds = b"", []
        if not data:
            self._end()
        request: dict[str, Any] = json.loads(data)
        match request["do"]:
            case "fork" | "sensors":
                self._fork(request, fds, poll)
            case "kill":
                self._kill(request["pid"])
            case "output":  # where a service prints what workers print
                for stream in (1, 2):
                    os.dup2(fds[0], stream)
            case "ping":
                self._send(ALIVE)
        for fd in fds:
            os.close(fd)

    def _fork(self, request: dict[str, Any], fds: list[int], poll: select.poll) -> None:
        if _threads() > self._alone:
            names = ", ".join(thread.name for thread in threading.enumerate())
            self._send({"error": f"the fork server has more than one thread ({names}): it cannot fork"})
            return
        if len(fds) < 2:
            self._send({"error": "an order without a pipe and a heartbeat"})
            return
        if request.get("order", {}).get("pictures", -1) >= 0 and not self._may_show:
            self._send({"error": "a service shows nobody its pictures"})
            return
        parent = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._send({"error": f"a worker could not be forked: {error}"})
            return
        if pid == 0:
            self._live(request, fds, parent)
        with contextlib.suppress(OSError):  # the child does it too, whoever comes first
            os.setpgid(pid, pid)
        pidfd = os.pidfd_open(pid)
        self._children[pidfd] = pid
        poll.register(pidfd, select.POLLIN)
        self._send({"pid": pid}, pidfd)

    def _live(self, request: dict[str, Any], fds: list[int], parent: int) -> NoReturn:
        """Be the worker."""
        try:
            os.setpgid(0, 0)
            kernel.die_with_parent(parent)
            self._control.close()
            if request["do"] == "sensors":
                _run_sensors(fds, parent)
            from edged.worker import startup

            startup.live(request["order"], fds)
        except BaseException:
            log.exception("a worker could not be started")
        os._exit(70)

    def _kill(self, pid: int) -> None:
        if pid in self._children.values():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _reap(self, pidfd: int) -> None:
        """Collect a worker that ended, and end what it started."""
        pid = self._children.pop(pidfd)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        _pid, status = os.waitpid(pid, 0)
        os.close(pidfd)
        self._send({"exited": pid, "status": os.waitstatus_to_exitcode(status)})

    def _collect_orphans(self) -> None:
        """Collect processes whose own parent ended: the first process of a PID namespace inherits them."""
        workers = set(self._children.values())
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in workers:
                    return
                os.waitpid(ended.si_pid, 0)

    def _send(self, answer: dict[str, object], *fds: int) -> None:
        try:
            socket.send_fds(self._control, [json.dumps(answer).encode()], fds)
        except OSError:
            self._end()

    def _end(self) -> NoReturn:
        """End with main, and all workers with this process."""
        for pid in self._children.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        os._exit(0)


def _run_sensors(fds: list[int], parent: int) -> NoReturn:
    """Become the sensor worker: a fresh interpreter, since it needs little of what is imported here."""
    for fd in fds:
        os.set_inheritable(fd, True)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    command = child.interpreter("edged.worker.sensor_process", *map(str, fds), str(parent))
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


def _preload() -> str:
    """Import what workers need; return the runtime's name, or "" where none is installed."""
    import cv2

    from edged.inference import runtime
    from edged.system import sandbox
    from edged.worker import startup, warmup

    cv2.setNumThreads(1)  # pictures are small, and a pool of threads does not survive a fork
    del startup  # it brings the rest of a worker: imported in each one, it would take 3 MB of each
    warmup.warm_up()
    sandbox.prepare()
    try:
        return runtime.preload()
    except DriverError as error:
        log.error("%s", error)  # noqa: TRY400 - a sentence for people; no traceback belongs to it
        return ""


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough


def _accept(notifier: Notifier) -> socket.socket:
    """Return the connection of the main that made systemd start this process, or that starts after it.

    The mode of the socket decides who may connect: only root and main's group (``edged-workers.socket``).
    """
    listener = socket.socket(fileno=_LISTENER)
    pause_s = None if notifier.watchdog_s is None else notifier.watchdog_s / 2
    while not select.select([listener], [], [], pause_s)[0]:
        notifier.watchdog()
    control, _address = listener.accept()
    listener.close()
    return control


def main(arguments: list[str]) -> NoReturn:
    """Import, greet main, and serve it.

    Args:
        arguments: the descriptor of the socket to main; none where systemd hands over a listening one.
    """
    kernel.close_memory()  # no worker may reach into it
    logs.setup("journal")  # main reads the priorities
    for sent in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; main stops in order
        signal.signal(sent, signal.SIG_IGN if arguments else signal.SIG_DFL)
    kernel.name_process("edged-fork")
    notifier = Notifier.of()
    notifier.ready()
    from edged.worker import warmup

    runtime_name = _preload()
    control = socket.socket(fileno=int(arguments[0])) if arguments else _accept(notifier)
    server = ForkServer(control, notifier, may_show=bool(arguments))
    gc.collect()
    warmup.drop_untouched()
    gc.freeze()  # the collector never visits these objects again, so their pages stay shared
    greeting = json.dumps({"runtime": runtime_name}).encode()
    this = os.pidfd_open(os.getpid())
    socket.send_fds(control, [greeting], [this])
    os.close(this)
    server.serve()


if __name__ == "__main__":
    main(sys.argv[1:])
