"""deploy/install: what it refuses before it touches anything, and what it reads of the role."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
ROLE = ROOT / "deploy" / "roles" / "edged"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--nonsense"], "there is no option '--nonsense'"),
        (["--upgrade", "--remove"], "--upgrade and --remove exclude each other"),
        (["--data"], "--data goes with --remove"),
        (["--config"], "--config needs a file"),
        (["--config", "/nowhere/edged.yaml"], "there is no file /nowhere/edged.yaml"),
        (["--wheels", "/nowhere"], "there is no folder /nowhere"),
        (["--rollback", "--wheels", "/"], "--rollback takes no configuration"),
        (["--healthy-for", "soon"], "--healthy-for takes a whole number"),
    ],
)
def test_wrong_usage_is_refused_in_a_sentence(words: list[str], said: str) -> None:
    done = subprocess.run([ROOT / "deploy/install", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (64, "")
    assert said in done.stderr


def role_files(*words: object, text: str = "") -> tuple[int, str]:
    command = [sys.executable, ROOT / "deploy/role_files.py", *map(str, words)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout + done.stderr


CONFIG = """
mqtt: {host: "127.0.0.9:1884", password_file: mqtt-password, tls: {ca_file: ca.pem, key_file: /etc/x/own.key}}
pipelines:
  porch: {source: {kind: picamera2}, model: {file: porch.tflite, labels: /srv/labels.txt}}
  yard: {source: {kind: video, url: "rtsp://u@127.0.0.8/1", password_file: camera}}
"""


def test_what_a_configuration_needs_is_what_the_role_says(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text(CONFIG)
    assert "python3-picamera2" in role_files("packages", file)[1].split()
    assert role_files("groups", file)[1].split()[0] == "video"
    names = role_files("names", file)[1].splitlines()
    assert sorted(names) == ["model porch.tflite", "public ca.pem", "secret camera", "secret mqtt-password"]
    (tmp_path / "out").mkdir()
    assert role_files("write", file, tmp_path / "out") == (0, "")
    main = (tmp_path / "out/deployed.conf").read_text()
    assert "IPAddressAllow=127.0.0.9\n" in main
    assert "127.0.0.8" not in main, "main does not reach the camera"
    assert "IPAddressAllow=127.0.0.8\n" in (tmp_path / "out/network-workers.conf").read_text()
    belongs = {line.split("\t")[0]: line.split("\t")[1] for line in role_files("deployed")[1].splitlines()}
    assert {path.name for path in (tmp_path / "out").iterdir()} <= belongs.keys()
    everything = yaml.safe_load((ROLE / "vars/main.yml").read_text("utf-8"))["__edged_everything"]
    for path in belongs.values():
        assert any(path == removed or path.startswith(f"{removed}/") for removed in everything), path


def test_a_host_without_an_address_is_named(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text("mqtt: {host: nowhere.invalid}\n")
    code, said = role_files("write", file, tmp_path)
    assert code == 1
    assert "'nowhere.invalid'" in said


@pytest.mark.parametrize("text", ["", "mqtt: [", "- a list", "\ttabs: no"])
def test_what_is_no_configuration_is_left_to_edged_check(text: str, tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text(text)
    assert role_files("names", file) == (0, "")
    assert role_files("packages", file)[0] == 0


WELL = {"status": "ok", "broker": {"state": "connected"}}
ALONE = {"status": "ok", "broker": {"state": "none"}}


@pytest.mark.parametrize(
    ("exit_status", "status", "reason"),
    [
        (0, WELL, ""),
        (0, ALONE | {"status": "degraded", "problems": ["porch: runs on cpu"]}, ""),
        (0, ALONE | {"status": "problem", "problems": ["porch: no camera"]}, "porch: no camera"),
        (0, WELL | {"broker": {"state": "auth", "detail": "refused"}}, "not connected (refused)"),
        (0, ALONE | {"problems": ["the configuration was refused"]}, "the configuration was refused"),
        (69, {}, "edged does not run"),
    ],
)
def test_the_gate_is_the_roles(exit_status: int, status: dict[str, object], reason: str) -> None:
    code, said = role_files("healthy", exit_status, text=json.dumps(status) if status else "")
    assert (code == 0) == (reason == "")
    assert reason in said
