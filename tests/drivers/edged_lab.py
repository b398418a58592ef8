"""A driver for the tests, which does in a worker what a test wants to see done there."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from edged.sources import Frame, Hint, Source, SourceConfig
from edged.sources.drivers import folder
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_SYSCALLS = {  # numbers of the unified table, which x86-64 and arm64 share from 424 on; others by machine
    "x86_64": {"setns": 308, "ptrace": 101, "process_vm_readv": 310},
    "aarch64": {"setns": 268, "ptrace": 117, "process_vm_readv": 270},
}


class Config(SourceConfig):
    """The keys of ``kind: lab``."""

    kind: Literal["lab"] = Field(default="lab", description="the driver: lab")
    do: Literal[
        "nothing",
        "escape",
        "attack",
        "leak",
        "grow",
        "exit",
        "raise",
        "segfault",
        "hang_open",
        "hold_lock",
        "child",
        "mute",
        "babble",
        "flood",
        "invent",
        "stream",
        "results",
        "shout",
        "decode",
        "build",
    ] = Field(default="nothing", description="what to do from the fifth frame on")
    file: Path = Field(default=Path("/dev/null"), description="where to write what was found")
    cue: Path | None = Field(default=None, description="do it only while this file exists")


def needs(config: Config) -> Needs:
    programs = ("/usr/bin/sleep",) if config.do == "child" else ()
    files = () if config.cue is None else (str(config.cue.parent),)  # where the cue will appear
    return Needs(files=files, devices=(str(config.file),), programs=programs)


def create(config: Config, hint: Hint) -> Source:
    if config.do == "build":
        raise ValueError(json.dumps(look_around(config.file)))
    if config.do == "decode" and config.cue is not None:
        return Photographs(folder.Config(path=config.cue), hint)
    return Lab(config)


class Photographs(folder.Folder):
    """Photographs with a decoder that has defects: a word in a file makes it show one."""

    def open(self) -> None:
        import cv2

        decode = cv2.imdecode

        def fragile(data: NDArray[np.uint8], flags: int) -> Any:
            content = data.tobytes()
            for word, do in DEFECTS.items():
                if word in content:
                    do()
            return decode(data, flags)

        cv2.imdecode = fragile
        super().open()


def _fill_memory() -> None:
    import numpy as np

    _kept.append(np.ones(400_000_000, np.uint8))
    threading.Event().wait()


_kept: list[Any] = []
DEFECTS: dict[bytes, Callable[[], object]] = {
    b"crash": lambda: ctypes.string_at(0),
    b"short of memory": lambda: os.kill(os.getpid(), signal.SIGKILL),
    b"bomb": _fill_memory,
    b"endless": lambda: threading.Event().wait(),
}


def look_around(file: Path) -> dict[str, str]:
    """Return what can be done where a configuration is built: the name of an error, or ``done``."""
    attempts: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        "service": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
        "write": lambda: file.open("ab"),
        "create": lambda: file.with_suffix(".new").touch(),
        "signal": lambda: os.kill(os.getppid(), 0),
        "start": lambda: subprocess.run(["/bin/true"], check=True),
        "read": file.read_bytes,
    }
    found = {}
    for name, attempt in attempts.items():
        try:
            attempt()
        except OSError as error:
            found[name] = errno.errorcode[error.errno or 0]
        else:
            found[name] = "done"
    return found


class Lab:
    live = False

    def __init__(self, config: Config) -> None:
        self._config = config
        self._number = 0
        self._kept: list[Any] = []

    def open(self) -> None:
        if self._config.do == "hang_open" and self._on_cue():
            threading.Event().wait()

    def read(self, timeout_s: float) -> Frame:
        import numpy as np

        del timeout_s
        time.sleep(0.02)
        self._number += 1
        if self._number >= 5 and self._on_cue():
            getattr(self, f"_{self._config.do}", lambda: None)()
        return Frame(np.full((48, 64, 3), 90, np.uint8), clock.wall(), number=self._number)

    def close(self) -> None:
        self._kept.clear()

    def _on_cue(self) -> bool:
        return self._config.cue is None or self._config.cue.exists()

    def _escape(self) -> None:
        if not self._kept:
            self._kept.append("once")
            write(self._config.file, json.dumps(look_for_a_way_out()))

    def _attack(self) -> None:
        import edged_attempts

        if not self._kept and self._config.cue is not None:
            self._kept.append("once")
            targets = json.loads(self._config.cue.read_text("utf-8"))
            write(self._config.file, json.dumps(edged_attempts.results(targets)))

    def _leak(self) -> None:
        self._kept += [open("/dev/null") for _ in range(4)]  # noqa: SIM115, PTH123 - never closed, on purpose

    def _grow(self) -> None:
        import numpy as np

        self._kept.append(np.ones(8_000_000, np.uint8))

    def _exit(self) -> None:
        os._exit(3)

    def _raise(self) -> None:
        raise ValueError("a defect of the driver")

    def _segfault(self) -> None:
        ctypes.string_at(0)

    def _hold_lock(self) -> None:
        ctypes.PyDLL(None).sleep(600)  # in C, with Python's lock

    def _child(self) -> None:
        if not self._kept:
            child = subprocess.Popen(["sleep", "600"])
            self._kept.append(child)
            write(self._config.file, str(child.pid))

    def _mute(self) -> None:
        with contextlib.suppress(LookupError):  # it is closed already
            os.close(_pipe())
        threading.Event().wait(0.5)

    def _babble(self) -> None:
        os.write(_pipe(), b"\x00 no report")

    def _flood(self) -> None:
        for _ in range(1000):
            os.write(2, b"the library complains of this frame, as it did of the last one\n")

    def _invent(self) -> None:
        _report(_outcome("start", "row 7 of the porch", self._number))

    def _stream(self) -> None:
        """Send what was seen in the labels and scores that the model has, as fast as main takes it."""
        from edged.models import bundled

        labels = bundled.LABELS.read_text("utf-8").splitlines()
        while True:
            self._number += 1
            _report(_outcome("change", labels[self._number % len(labels)], self._number))

    def _results(self) -> None:
        _report(_outcome("result", "cock", self._number))

    def _shout(self) -> None:
        from edged.ipc import worker_messages

        while True:
            self._number += 1
            sentence = f"row {self._number} of the porch: {os.urandom(150).hex()}"
            _report(worker_messages.Fault(_pipeline(), "source", "lost", sentence))


def _outcome(kind: str, label: str, number: int) -> Any:
    from edged.events import Finding
    from edged.ipc import worker_messages

    now, score = clock.wall(), number % 1000 / 1000
    return worker_messages.Outcome(
        _pipeline(), kind, label, score, "unknown", (Finding(label, score),), now, now
    )


def _pipeline() -> str:
    return Path("/proc/self/comm").read_text("utf-8").strip().removeprefix("edged:")


def _report(report: Any) -> None:
    from edged.ipc import worker_messages

    os.write(_pipe(), worker_messages.encode(report))


def write(file: Path, text: str) -> None:
    """Write into a file that is there already: a worker cannot create any."""
    descriptor = os.open(file, os.O_WRONLY)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _pipe() -> int:
    """The worker's end of its pipe."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        try:
            with socket.socket(fileno=os.dup(int(name))) as found:
                if found.type == socket.SOCK_SEQPACKET:
                    return int(name)
        except OSError:
            continue
    raise LookupError("no pipe")


def look_for_a_way_out() -> dict[str, Any]:
    """Try everything that could reach a network, and say what became of it."""
    links = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are enough
        try:
            links[name] = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115 - it may be no path
        except OSError:
            continue
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "families": {family: _socket(family) for family in range(64)},
        "wide": _socket_call((1 << 32) | socket.AF_INET),
        "calls": {name: _call(number) for name, number in _numbers().items()},
        "links": links,
        "memory": {name: _reach_into(pid) for name, pid in _others().items()},
        "seccomp": status["Seccomp"].strip(),
        "no_new_privs": status["NoNewPrivs"].strip(),
        "interfaces": [
            line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]
        ],
    }


def _others() -> dict[str, int]:
    """The processes beside this one that may use the network, as far as they can be seen."""
    server = os.getppid()
    return {"main": _parent(Path(f"/proc/{server}")), "edged-fork": server}


def _parent(folder: Path) -> int:
    return int((folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()[1])


def _reach_into(pid: int) -> str:
    try:
        Path(f"/proc/{pid}/mem").open("r+b").close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "?")
    return "opened"


def _socket(family: int) -> str:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            socket.socket(family, kind).close()
        except OSError as error:
            if error.errno != errno.EPERM:
                return errno.errorcode.get(error.errno or 0, "?")
        else:
            return "made"
    return "EPERM"


def _numbers() -> dict[str, int]:
    own = _SYSCALLS.get(os.uname().machine, {})
    return own | {"io_uring_setup": 425, "io_uring_enter": 426, "io_uring_register": 427, "pidfd_getfd": 438}


def _call(number: int, *arguments: int) -> str:
    libc = ctypes.CDLL(None, use_errno=True)
    given = [ctypes.c_long(each) for each in (*arguments, *[-1] * (6 - len(arguments)))]
    if libc.syscall(ctypes.c_long(number), *given) >= 0:
        return "done"
    return errno.errorcode.get(ctypes.get_errno(), "?")


def _socket_call(family: int) -> str:
    number = {"x86_64": 41, "aarch64": 198}.get(os.uname().machine)
    return "EPERM" if number is None else _call(number, family, socket.SOCK_DGRAM, 0)
