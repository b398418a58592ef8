"""A bundle is of use, and has nothing of its owner's in it."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from edged.daemon.status_file import StatusFile
from edged.tools import support_bundle
from edged.tools.doctor import Check, Status

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = ("hunter2", "horse battery", "rtsp-secret", "stream-key")
PRIVATE = (
    *("marker-node", "marker-broker", "marker-login", "marker-room", "marker-air", "Marker Baby"),
    *("Marker Uncle", "10.1.2.3", "marker-door", "marker.tflite", "marker-folder"),
)
CONFIG = """
node: marker-node
state_dir: STATE
run_dir: RUN
mqtt: {host: marker-broker.lan, port: 8883, username: marker-login, pasword: "hunter2 horse battery"}
pipelines:
  marker-room:
    source: {kind: video, url: "rtsp://me:rtsp-secret@10.1.2.3/stream-key", interval_s: 0.5}
    decision: {threshold: 0.5, treshold: 0.7, labels: {Marker Baby: {threshold: 0.4}}, ignore: [Marker Uncle]}
  marker-door: {source: {kind: v4l2, size: [640, 480]}, model: {file: /home/marker-folder/marker.tflite}}
sensors: {marker-air: {kind: thermal}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edged.yaml"
    path.write_text(CONFIG.replace("STATE", str(tmp_path / "state")).replace("RUN", str(tmp_path)), "utf-8")
    return path


def collected(config: Path, *checks: Check) -> dict[str, str]:
    return {part.name: part.text for part in support_bundle.collect(config, checks)}


def test_nothing_in_it_is_the_owners(config: Path) -> None:
    told = "marker-room: marker-broker.lan:8883 refuses marker-login at 10.1.2.3; /home/marker-folder is away"
    status = {
        "node": "marker-node",
        "problems": [told],
        "pipelines": {
            "marker-room": {
                "decision": {"label": "Marker Baby", "since": "2026-11-29T10:00:00Z"},
                "last_error": told,
                "frames": 41,
                "state": "waiting",
            }
        },
    }
    StatusFile(config.parent).write(status)
    parts = collected(config, Check("cameras", Status.ERROR, told, "look at marker-door"))
    whole = "\n".join(parts.values())
    for word in (*SECRETS, *PRIVATE):
        assert word not in whole, word
    found = json.loads(parts["status.json"])
    assert found["pipelines"]["pipeline-1"]["frames"] == 41
    assert found["pipelines"]["pipeline-1"]["decision"]["label"] == "LABEL"
    assert found["problems"][0].startswith("pipeline-1: ")


def test_what_helps_is_in_it_even_where_the_configuration_is_wrong(config: Path) -> None:
    parts = collected(config)
    shown = json.loads(parts["configuration.json"])
    assert shown["mqtt"]["port"] == 8883
    assert shown["pipelines"]["pipeline-1"]["source"] == {"kind": "video", "url": "…", "interval_s": 0.5}
    assert shown["pipelines"]["pipeline-2"]["source"]["size"] == [640, 480]
    assert "did you mean 'threshold'" in parts["check.txt"]
    assert "edged.yaml:5:" in parts["check.txt"]


@pytest.mark.parametrize("host", ["10.2.3.4", "192.168.178.123", "fe80::1", "[a.lan, 10.2.3.5]", "1234"])
def test_no_address_is_taken_for_a_number(host: str, tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"node: '77'\nmqtt: {{host: {host}, username: 4321, protocol: 3.1.1, keepalive_s: 2.5e1}}\n"
    )
    mqtt = json.loads(collected(path)["configuration.json"])["mqtt"]
    hidden = ["…", "…"] if "," in host else "…"
    assert mqtt == {"host": hidden, "username": "…", "protocol": "3.1.1", "keepalive_s": 25}


def test_the_status_keeps_its_keys_whatever_the_owners_files_are_called(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(
        f"run_dir: {tmp_path}\nmqtt: {{host: a.lan, tls: {{ca_file: /etc/x/version.pem}}}}\n"
        "sensors: {a1: {kind: thermal}}\n"
    )
    StatusFile(tmp_path).write({"version": "0.2.0", "model": {"sha256": "35e8e20b"}, "sensors": {"a1": {}}})
    status = json.loads(collected(path)["status.json"])
    assert (status["model"]["sha256"], list(status["sensors"])) == ("35e8e20b", ["sensor-1"])
    assert "version" in status


def test_a_file_that_is_not_yaml_is_told_and_left_out(tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text("mqtt: {host: [\n")
    parts = collected(path)
    assert "configuration.json" not in parts
    assert "edged.yaml:" in parts["check.txt"]


def test_the_archive_has_the_parts_and_names_no_user(config: Path) -> None:
    parts = support_bundle.collect(config, [])
    with tarfile.open(fileobj=io.BytesIO(support_bundle.pack(parts))) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == [f"edged-support/{part.name}" for part in parts]
        assert {(member.uname, member.uid, member.mtime) for member in members} == {("", 0, 0)}
