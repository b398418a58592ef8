"""``edged run`` as a process, with the socket that systemd would give it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

READY_S = 30.0
RUN = (sys.executable, "-m", "edged", "run")


def wait_for(condition: Callable[[], Any], what: str = "", patience_s: float = 15.0) -> Any:
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never happened: {what or condition}"
        time.sleep(0.01)
    return value


class Daemon:
    """``with Daemon(folder, text) as daemon`` is ready; leaving kills it where it still runs."""

    def __init__(self, folder: Path, text: str, command: Sequence[str] = RUN, **environment: str) -> None:
        self.folder = folder
        self._command = command
        self.path = folder / "edged.yaml"
        self.path.write_text(text)
        self.told: list[str] = []
        self._environment = environment
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        self.process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def start(self) -> None:
        with (self.folder / "stderr").open("ab") as errors, (self.folder / "stdout").open("ab") as out:
            self.process = subprocess.Popen(
                [*self._command, "-c", str(self.path)],
                stdout=out,
                stderr=errors,
                env=os.environ | {"NOTIFY_SOCKET": str(self.folder / "notify")} | self._environment,
            )

    def hear(self) -> list[str]:
        """Return all that systemd was told so far."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.told.append(self._socket.recv(4096, socket.MSG_DONTWAIT).decode())
        return self.told

    def ready(self) -> None:
        wait_for(lambda: "READY=1" in self.hear() or self.process.poll() is not None, "READY", READY_S)
        assert self.process.poll() is None, self.log

    def reload(self, text: str) -> None:
        self.path.write_text(text)
        before = self.hear().count("READY=1")
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: self.hear().count("READY=1") > before, "READY after the reload")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Return the exit status and how long it took."""
        before = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(20), time.monotonic() - before

    def health(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((self.folder / "run" / "status.json").read_text())
        return data

    def children(self) -> set[int]:
        """Return the processes that it started and that are still there."""
        return {p["pid"] for p in self.health()["processes"].values()} - {self.pid}

    def __enter__(self) -> Self:
        self.start()
        self.ready()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(10)
        self._socket.close()


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that ended and was not collected yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"
