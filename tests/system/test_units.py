"""What the units promise one another, and what no edit may take from them; tests/system/run tries it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edged.supervisor import forkserver_client

SYSTEMD = Path(__file__).resolve().parents[2] / "systemd"
MAIN, WORKERS = SYSTEMD / "edged.service", SYSTEMD / "edged-workers.service"
NETWORK = SYSTEMD / "edged-workers-network.service.d" / "network.conf"


def settings(*files: Path) -> dict[str, list[str]]:
    """Return the settings of a unit with its drop-ins; an empty one resets those before it, as in systemd."""
    found: dict[str, list[str]] = {}
    for file in files:
        for key, value in re.findall(r"^(\w+)=(.*)$", file.read_text(), re.MULTILINE):
            found[key] = [*found.get(key, []), value] if value else []
    return found


def environment(unit: dict[str, list[str]]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in unit["Environment"])


@pytest.mark.parametrize("file", [MAIN, WORKERS])
def test_every_python_is_isolated_and_has_no_home(file: Path) -> None:
    unit = settings(file)
    assert unit["ExecStart"][0].startswith("/opt/edged/current/bin/python -I -m edged")
    assert environment(unit)["HOME"] == "/nonexistent"


def test_main_connects_where_the_socket_listens() -> None:
    socket = settings(SYSTEMD / "edged-workers.socket")
    assert environment(settings(MAIN))[forkserver_client.SOCKET] == socket["ListenSequentialPacket"][0]
    assert (socket["SocketUser"], socket["SocketGroup"], socket["SocketMode"]) == (
        ["root"],
        ["edged"],
        ["0660"],
    )
    other = settings(SYSTEMD / "edged-workers-network.socket")["ListenSequentialPacket"][0]
    assert f"{forkserver_client.NETWORK_SOCKET}={other}" in NETWORK.read_text(), (
        "its comment says how to use it"
    )


def test_main_has_no_device_and_the_workers_no_network() -> None:
    main, workers = settings(MAIN), settings(WORKERS)
    assert main["User"] != workers["User"]
    assert main["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in main
    assert workers["PrivateNetwork"] == ["yes"]
    assert workers["IPAddressDeny"] == ["any"]
    assert not {"StateDirectory", "RuntimeDirectory", "ReadWritePaths", "LoadCredential"} & set(workers)
    hidden = workers["TemporaryFileSystem"][0].split()
    assert {"/etc:ro", "/run:ro", "/var:ro", "/dev/shm:ro"} <= set(hidden)  # noqa: S108 - hidden, not used


def test_no_service_may_take_the_boards_memory() -> None:
    assert settings(MAIN)["MemoryMax"] == ["320M"]
    assert settings(WORKERS)["MemoryMax"] == ["75%"]


def test_main_reaches_no_service_that_would_speak_for_it() -> None:
    hidden = settings(MAIN)["InaccessiblePaths"][0].split()
    assert {"-/run/dbus", "-/run/avahi-daemon", "-/run/systemd/journal", "-/run/docker.sock"} <= set(hidden)


def test_the_workers_of_a_network_camera_have_every_other_wall() -> None:
    workers, network = settings(WORKERS), settings(WORKERS, NETWORK)
    differ = {key for key in network if network[key] != workers.get(key)}
    assert differ == {"Description", "PrivateNetwork", "RestrictAddressFamilies", "DeviceAllow"}
    assert network["DeviceAllow"] == []
    assert network["IPAddressDeny"] == ["any"]
    assert "AF_NETLINK" not in network["RestrictAddressFamilies"][0]
