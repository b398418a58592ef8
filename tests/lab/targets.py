"""What code in a worker aims at when it tries to get out: folders, files and listeners, open to its user.

Tests import it. Where edged runs as a service, it runs on that machine, as root, with nothing but Python::

    targets.py [--state DIR] [--secrets DIR] [--control USER] FOLDER NAME=PID ...

and prints as JSON what became of each attempt, and how many messages reached a listener; with ``--control``
also what becomes of them where that user makes them without any wall.
"""

from __future__ import annotations

import argparse
import json
import os
import pwd
import socket
import sys
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 120.0


class Place:
    """What the attempts aim at.

    Args:
        folder: an empty one, where a worker reads what it aims at and writes what came of it.
        state: where the queue is; by default in ``folder``.
        secrets: where passwords are; by default in ``folder``.
        everyone: no right of a file keeps another user from anything.
    """

    def __init__(
        self,
        folder: Path,
        *,
        state: Path | None = None,
        secrets: Path | None = None,
        everyone: bool = False,
    ) -> None:
        self.cue, self.found = folder / "told" / "targets", folder / "found"
        places = {"home": folder / "home", "state": state or folder / "state"}
        places["secrets"] = secrets or folder / "secrets"
        files = [
            places["state"] / "spool.db",
            places["secrets"] / "password",
            places["secrets"] / "edged.yaml",
        ]
        for each in (self.cue.parent, *places.values()):
            each.mkdir(exist_ok=True)
        self.found.touch()
        for each in files:
            each.write_text("secret\n")
        service, abstract = folder / "service", f"edged-walls-{os.getpid()}"
        self._listeners = [
            _listen(socket.AF_UNIX, str(service)),
            _listen(socket.AF_UNIX, f"\0{abstract}"),
            _listen(socket.AF_INET, ("127.0.0.1", 0)),
        ]
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._tcp.setblocking(False)
        if everyone:
            for each in (folder, *places.values()):
                each.chmod(0o777)
            for each in (self.found, service, *files):
                each.chmod(0o666)
        self._targets = {
            **{name: str(path) for name, path in places.items()},
            "device": _device(),
            "unix": str(service),
            "abstract": abstract,
            "udp": self._listeners[2].getsockname()[1],
            "tcp": self._tcp.getsockname()[1],
        }

    def tell(self, processes: dict[str, int]) -> None:
        """Let the worker begin."""
        told = self.cue.with_suffix(".new")
        told.write_text(json.dumps(self._targets | {"processes": processes}), "utf-8")
        told.rename(self.cue)

    def answered(self) -> bool:
        """Return whether the worker wrote down what came of all attempts."""
        return self.found.read_text("utf-8").endswith("}")

    def results(self) -> dict[str, str]:
        """Return what came of each attempt: ``done``, or the name of an error."""
        found = json.loads(self.found.read_text("utf-8"))
        assert isinstance(found, dict)
        return found

    def arrived(self) -> int:
        """Return how many messages and connections reached a listener since the last call."""
        return sum(_drained(listener.recv, 100) for listener in self._listeners) + _drained(self._tcp.accept)


def _device() -> str:
    """Return a device that every user of this machine may open, and that no worker needs."""
    named = next((path for path in ("/dev/fuse", "/dev/net/tun") if os.path.exists(path)), "")  # noqa: PTH110 - text
    return named or os.ttyname(os.openpty()[1])


def _listen(family: int, address: Any) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.setblocking(False)
    return listener


def _drained(take: Any, *arguments: int) -> int:
    count = 0
    try:
        while True:
            take(*arguments)
            count += 1
    except BlockingIOError:
        return count


def _as_user(name: str, place: Place) -> dict[str, str]:
    """Make the attempts as that user, without walls."""
    user = pwd.getpwnam(name)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        import edged_attempts

        text = json.dumps(edged_attempts.results(json.loads(place.cue.read_text("utf-8"))))
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        found = json.load(pipe)
    os.waitpid(child, 0)
    assert isinstance(found, dict)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("processes", nargs="+", metavar="NAME=PID")
    parser.add_argument("--state", type=Path)
    parser.add_argument("--secrets", type=Path)
    parser.add_argument("--control", metavar="USER")
    given = parser.parse_args()
    place = Place(given.folder, state=given.state, secrets=given.secrets, everyone=True)
    place.tell({name: int(pid) for name, _, pid in (each.partition("=") for each in given.processes)})
    deadline = time.monotonic() + PATIENCE_S
    while not place.answered():
        if time.monotonic() > deadline:
            sys.exit(f"no answer within {PATIENCE_S:g} s")
        time.sleep(0.1)
    found = place.results()
    answer: dict[str, Any] = {
        "attempts": len(found),
        "succeeded": [name for name, what in found.items() if what == "done"],
        "arrived": place.arrived(),
    }
    if given.control:
        answer["control"] = sum(what == "done" for what in _as_user(given.control, place).values())
        answer["control_arrived"] = place.arrived()
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
