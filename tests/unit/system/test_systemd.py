"""sd_notify against a real datagram socket, by path and in the abstract namespace."""

from __future__ import annotations

import os
import secrets
import socket
import time
from typing import TYPE_CHECKING

import pytest

from edged.system.systemd import LONGEST_STATUS, Notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@edged-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address.replace("@", "\0", 1) if address.startswith("@") else address)
        sock.settimeout(5)
        yield sock, address


def test_a_life(listener: tuple[socket.socket, str]) -> None:
    sock, address = listener
    environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.of(environment)
    assert not environment  # no child takes it for its own
    assert notifier.watchdog_s == 30.0
    notifier.status("2 of 2 pipelines\nrunning")
    notifier.ready()
    notifier.status("2 of 2 pipelines running")  # the same: not sent again
    notifier.watchdog()
    before = time.monotonic() * 1e6
    notifier.reloading()
    notifier.ready()
    notifier.stopping()
    got = [sock.recv(4096).decode() for _ in range(6)]
    assert got[:3] == ["STATUS=2 of 2 pipelines running", "READY=1", "WATCHDOG=1"]
    assert got[4:] == ["READY=1", "STOPPING=1"]
    first, second = got[3].split("\n")
    assert first == "RELOADING=1"
    name, value = second.split("=")
    assert name == "MONOTONIC_USEC"
    assert before - 1 <= int(value) <= time.monotonic() * 1e6
    sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        sock.recv(1)


def test_a_status_is_bounded(listener: tuple[socket.socket, str]) -> None:
    sock, address = listener
    Notifier(address).status("é" * 10000)
    assert len(sock.recv(65536).decode()) == LONGEST_STATUS + len("STATUS=")


@pytest.mark.parametrize(
    "environment",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},  # somebody else's
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {},
    ],
)
def test_the_watchdog_of_others_is_none(environment: dict[str, str]) -> None:
    assert Notifier.of(environment).watchdog_s is None


def test_without_a_process_id_the_watchdog_is_ours() -> None:
    assert Notifier.of({"WATCHDOG_USEC": "1500000"}).watchdog_s == 1.5


@pytest.mark.parametrize(
    "address", ["", "vsock:2:1234", "relative", "/nonexistent/notify", "@edged-nobody-listens"]
)
def test_nobody_who_listens_is_no_error(address: str) -> None:
    notifier = Notifier.of({"NOTIFY_SOCKET": address})
    notifier.ready()
    notifier.status("fine")


def test_a_listener_that_does_not_read_holds_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        notifier = Notifier(str(tmp_path / "notify"))
        before = time.monotonic()
        for _ in range(2000):
            notifier.watchdog()
        assert time.monotonic() - before < 5
