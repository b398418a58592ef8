"""Starts ``edged page`` and speaks to it as a browser does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from commandline import EDGED

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_S = 60.0
_ADDRESS = re.compile(r"http://(127\.0\.0\.1|localhost):(\d+)/#(\S+)\n")


@dataclass
class Page:
    """A page that is being served.

    Attributes:
        process: main.
        token: of its address.
        port: of 127.0.0.1; with a unix socket the one that a person's ssh would listen on.
        path: the unix socket, if it is served there.
    """

    process: subprocess.Popen[bytes]
    token: str
    port: int
    path: Path | None = None

    @property
    def address(self) -> str:
        """The address that was printed."""
        return f"http://127.0.0.1:{self.port}/#{self.token}"

    def connect(self) -> socket.socket:
        """Return a connection."""
        if self.path is None:
            return socket.create_connection(("127.0.0.1", self.port), 20)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(self.path))
        return connection

    def ask(self, path: str, body: object = None, **fields: str) -> tuple[int, bytes]:
        """Return the status and the body of an answer."""
        caller = http.client.HTTPConnection("localhost", self.port)
        caller.sock = self.connect()
        head = {"Authorization": f"Bearer {self.token}"} | fields
        if body is None:
            caller.request("GET", path, headers=head)
        else:
            caller.request("POST", path, json.dumps(body), head | {"Content-Type": "application/json"})
        answer = caller.getresponse()
        with contextlib.closing(caller):
            return answer.status, answer.read()

    def begin(self, path: str) -> socket.socket:
        """Send a request for a path, and return its connection."""
        connection = self.connect()
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n\r\n"
        connection.sendall(head.encode())
        return connection

    def json(self, path: str, body: object = None) -> dict[str, Any]:
        """Return the data of an answer."""
        status, data = self.ask(path, body)
        assert status == 200, data
        found = json.loads(data)
        assert isinstance(found, dict)
        return found

    def end(self, sent: signal.Signals = signal.SIGINT) -> int:
        """Send a signal, and return the exit status."""
        self.process.send_signal(sent)
        return self.process.wait(20)


@contextlib.contextmanager
def page(*options: str, path: Path | None = None, **environment: str) -> Iterator[Page]:
    """Serve a page, at any port or at a unix socket, and end it."""
    place = ("--port", "0") if path is None else ("--socket", str(path))
    names = [f"{name}={value}" for name, value in environment.items()]
    process = subprocess.Popen(
        ["env", "--default-signal=INT", *names, *EDGED, "page", *options, *place],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        found = _printed(process)
        yield Page(process, found[3], int(found[2]), path)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
        process.wait(20)
        if process.stdout is not None:
            process.stdout.close()


def _printed(process: subprocess.Popen[bytes]) -> re.Match[str]:
    """Wait for the address."""
    assert process.stdout is not None
    until, shown = time.monotonic() + START_S, ""
    while time.monotonic() < until:
        if not select.select([process.stdout], [], [], 1)[0]:
            continue
        part = os.read(process.stdout.fileno(), 65536)
        if not part:
            break
        shown += part.decode()
        if (found := _ADDRESS.search(shown)) is not None:
            return found
    raise AssertionError(f"no address was printed: {shown}")
