"""``edged fleet`` against a real mosquitto."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from broker import Broker
from paho.mqtt import publish

from edged.daemon import health
from edged.spool import Counts
from edged.testing.supervisor import status

if TYPE_CHECKING:
    from collections.abc import Sequence

EDGED = str(Path(sys.executable).with_name("edged"))

pytestmark = pytest.mark.mosquitto


def told(node: str) -> str:
    snapshot = health.Snapshot(
        node=node,
        uptime_s=1,
        at=time.time(),
        synced=True,
        pipelines={"eye": status("eye", fps=1.5)},
        counts=Counts(3, 3, 0, {}),
        broker=health.Broker("connected", ""),
    )
    return json.dumps(health.message(snapshot))


def call(
    folder: Path, port: int, arguments: Sequence[str], login: str = ""
) -> subprocess.CompletedProcess[str]:
    file = folder / "edged.yaml"
    file.write_text(
        f"mqtt: {{host: 127.0.0.1, port: {port}{login}}}\npipelines: {{a: {{source: {{kind: synthetic}}}}}}\n"
    )
    command = [EDGED, "fleet", "-c", str(file), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def tell(port: int, **topics: str) -> None:
    """Publish retained messages; ``node__kind="…"``."""
    messages = [
        {"topic": f"edged/{name.replace('__', '/')}", "payload": payload, "retain": True, "qos": 1}
        for name, payload in topics.items()
    ]
    publish.multiple(messages, port=port)  # type: ignore[arg-type]  # its own type is a union of dictionaries


def test_the_fleet_as_a_table_and_as_json(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        tell(broker.port, porch__health=told("porch"), porch__status="online")
        done = call(tmp_path, broker.port, ["--wait", "1", "--json"])
        assert done.returncode == 0, done.stderr
        rows = json.loads(done.stdout)
        assert [(r["node"], r["state"], r["fps"], r["queue"]) for r in rows] == [("porch", "ok", 1.5, 0)]

        tell(broker.port, garage__health=told("garage"), garage__status="offline")
        done = call(tmp_path, broker.port, ["--wait", "1"])
        assert done.returncode == 1, done.stderr
        lines = [line.split() for line in done.stdout.splitlines()]
        assert lines[0][:3] == ["node", "age", "state"]
        assert [(line[0], line[3]) for line in lines[1:]] == [("garage", "offline"), ("porch", "ok")]


def test_it_leaves_no_word_at_the_broker(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        call(tmp_path, broker.port, ["--wait", "0.5"])
        listen = ["mosquitto_sub", "-p", str(broker.port), "-t", "#", "-W", "1"]
        assert subprocess.run(listen, capture_output=True, check=False).stdout == b""


def test_no_broker_and_nothing_to_read_are_said(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        port = broker.port
    done = call(tmp_path, port, ["--wait", "0.5"])
    assert (done.returncode, "broker" in done.stderr) == (69, True), done.stderr
    (tmp_path / "password").write_text("p")
    login = ", username: u, password_file: password"
    with Broker(tmp_path, users={"u": "p"}, acl=["topic read nothing"]) as broker:
        done = call(tmp_path, broker.port, ["--wait", "1"], login)
    # mosquitto takes the subscription and sends nothing.
    assert (done.returncode, done.stdout.strip()) == (1, "no node has published to the broker"), done.stderr


def test_a_configuration_without_a_broker_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text("pipelines: {a: {source: {kind: synthetic}}}\n")
    done = subprocess.run(
        [EDGED, "fleet", "-c", str(file)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 78
    assert "it does not name a broker" in done.stderr


def test_a_file_with_nothing_but_the_broker_is_enough(tmp_path: Path) -> None:
    with Broker(tmp_path) as broker:
        tell(broker.port, porch__health=told("porch"), porch__status="online")
        file = tmp_path / "consumer.yaml"
        file.write_text(f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\npipelines: {{porch: wrong}}\n")
        done = fleet("-c", str(file))
    assert (done.returncode, "porch" in done.stdout) == (0, True), done.stderr


def test_a_mistake_in_that_section_is_named_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "consumer.yaml"
    file.write_text("mqtt:\n  host: 127.0.0.1\n  prot: 1883\n")
    done = fleet("-c", str(file))
    assert done.returncode == 78
    assert f"{file}:3:3: " in done.stderr
    assert "port" in done.stderr


def test_the_command_line_names_the_broker_and_the_login(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p\n")
    login = ("--user", "u", "--password-file", str(tmp_path / "password"))
    with Broker(tmp_path, users={"u": "p"}, acl=["topic read #"]) as broker:
        at = ("--broker", f"127.0.0.1:{broker.port}")
        done = fleet(*at, *login)
        assert (done.returncode, done.stdout.strip()) == (1, "no node has published to the broker"), (
            done.stderr
        )
        assert fleet(*at).returncode == 69  # without the login
    assert "write --user" in fleet(*at, *login[2:]).stderr
    assert "need --broker" in fleet(*login).stderr


def fleet(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [EDGED, "fleet", "--wait", "1", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
