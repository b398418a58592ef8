"""No personal data: a machine full of names that must not be in the report."""

from __future__ import annotations

import json
import platform
import pwd
from typing import TYPE_CHECKING, Any

import pytest

from edged.tools.doctor import report
from edged.tools.doctor.verdict import Check, Status

if TYPE_CHECKING:
    from pathlib import Path

USER, HOST, SSID, SERIAL = "marker-user", "marker-host", "Marker SSID", "10000000c0ffee42"
NODE, PIPELINE, SENSOR = "marker-node", "marker-door", "marker-air"
BROKER, LOGIN = "marker-broker.lan", "marker-login"
MAC, PERSON = "c0:ff:ee:00:00:42", "Marker Person"
PRIVATE = (USER, HOST, SSID, SERIAL, NODE, PIPELINE, SENSOR, BROKER, LOGIN, PERSON, MAC)
CONFIG = f"""
node: {NODE}
mqtt: {{host: {BROKER}, username: {LOGIN}, tls: {{}}}}
sensors: {{{SENSOR}: {{kind: thermal}}}}
pipelines: {{{PIPELINE}: {{source: {{kind: folder, path: /data/marker-folder}}}}}}
"""


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A board with an owner: each place where a name could come from has a marker."""
    files = {
        "etc/hostname": f"{HOST}\n",
        "etc/machine-id": SERIAL,
        "etc/os-release": 'NAME=x\nPRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n',
        "etc/wpa_supplicant/wpa_supplicant.conf": f'ssid="{SSID}"',
        f"etc/NetworkManager/system-connections/{SSID}.nmconnection": SSID,
        "proc/uptime": "83.21 300.0\n",
        "proc/cpuinfo": f"Serial : {SERIAL}\n",
        "proc/cmdline": f"root=PARTUUID={SERIAL}",
        "proc/meminfo": "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\n",
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/device-tree/serial-number": SERIAL,
        "sys/bus/usb/devices/1-1/idVendor": "18d1\n",
        "sys/bus/usb/devices/1-1/idProduct": "9302\n",
        "sys/bus/usb/devices/1-1/speed": "5000\n",
        "sys/bus/usb/devices/1-1/serial": f"{SERIAL}\n",
        "sys/bus/w1/devices/28-0316a2795bff/name": "28-0316a2795bff",
        "sys/class/net/wlan0/address": "c0:ff:ee:00:00:42\n",
        "sys/class/video4linux/video0/name": "HD Pro Webcam C920\n",
        "dev/apex_0": "",
        "dev/video0": "",
        "var/lib/dpkg/status": "Package: libedgetpu1-std\nMaintainer: x\nVersion: 16.0tf2.19.1-1\n\n"
        "Package: bash\nVersion: 5\n",
        "edged.yaml": CONFIG,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    entry = pwd.struct_passwd((USER, "x", 1000, 1000, "Marker Person,,,", f"/home/{USER}", "/bin/sh"))
    monkeypatch.setattr(pwd, "getpwall", lambda: [entry])
    monkeypatch.setattr(platform, "node", lambda: f"{HOST}.lan")
    monkeypatch.setenv("SUDO_USER", USER)
    return tmp_path


def written(machine: Path, *checks: Check) -> tuple[str, dict[str, Any]]:
    path = machine / "report.jsonl"
    report.append(path, checks, config_path=machine / "edged.yaml", root=machine)
    text = path.read_text("utf-8")
    return text, json.loads(text.splitlines()[-1])


def test_nothing_in_the_report_is_about_its_owner(machine: Path) -> None:
    told = (
        f"{PIPELINE}: no permission to open /home/{USER}/models/cat.tflite as {USER} (Marker Person)",
        f"{NODE} on {HOST} and {HOST}.lan at 192.168.178.23, fe80::c2ff:eeff:fe00:42, c0:ff:ee:00:00:42",
        f"rtsp://{LOGIN}:secret@{BROKER}/stream of {SENSOR}, /dev/serial/by-id/usb-FTDI_{SERIAL}-if00",
        "/data/marker-folder/1.jpg cannot be read",
        f"thermometer 28-0316a2795bff, board {SERIAL}, {BROKER} lets {LOGIN} in",
    )
    checks = [Check("cameras", Status.ERROR, text, fix=text) for text in told]
    checks += [
        Check(name, Status.OK, f"{SSID} {PIPELINE}") for name in ("broker", "configuration", "state-dir")
    ]
    text, record = written(machine, *checks)
    for word in (*PRIVATE, "marker-folder", "secret", "192.168", "fe80", "0316a2795bff", "home"):
        assert word.lower() not in text.lower(), word
    assert record["checks"][0]["detail"].startswith("pipeline-1: no permission to open PATH as USER")
    assert record["checks"][-1] == {"name": "state-dir", "status": "ok"}


def test_the_report_keeps_what_hardware_is_about(machine: Path) -> None:
    detail = "Egyptian cat 0.77 in 5.3 ms (median of 10; efficientnet_lite0_uint8 on edgetpu with litert)"
    _, record = written(machine, Check("edgetpu", Status.OK, detail))
    assert record["checks"] == [{"name": "edgetpu", "status": "ok", "detail": detail, "fix": ""}]
    found = record["machine"]
    assert record["uptime_s"] == 83
    assert found["board"] == "Raspberry Pi 5 Model B Rev 1.0"
    assert found["system"] == "Debian GNU/Linux 13 (trixie)"
    assert found["memory_mb"] == 4096, "of 10^6 bytes, as doctor has them"
    assert found["usb"] == [{"id": "18d1:9302", "mbit_s": "5000"}]
    assert (found["nodes"]["apex"], found["nodes"]["video"], found["nodes"]["media"]) == (1, 1, 0)
    assert found["cameras"] == ["HD Pro Webcam C920"]
    assert found["chips"]["w1"] == ["28"]
    assert found["debian"] == {"libedgetpu1-std": "16.0tf2.19.1-1"}


@pytest.mark.parametrize(
    "sentence",
    [
        "Python 3.11.2, edged 0.2.0, x86_64",
        "no Edge TPU (USB 1a6e:089a or 18d1:9302, /dev/apex_*)",
        "sudo usermod -aG plugdev edged-workers, and plug it in again",
        "/dev/video0 gives pictures (33 ms each); rpicam-hello --list-cameras",
    ],
)
def test_a_sentence_about_hardware_stays_as_it_is(sentence: str, machine: Path) -> None:
    assert report.clean(sentence, report.private_words(machine / "edged.yaml", machine)) == sentence


def test_each_run_adds_a_line(machine: Path) -> None:
    written(machine)
    text, _ = written(machine)
    assert [json.loads(line)["report"] for line in text.splitlines()] == [report.VERSION] * 2
