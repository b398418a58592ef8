"""The role's assertions on what people write into an inventory; nothing is installed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # ansible takes its time to start

EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.yaml"))
ROLE = ROOT / "deploy" / "roles" / "edged"
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.set_fact:
        ansible_facts:
          distribution: Debian
          distribution_major_version: "12"
          distribution_version: "12"
          dns: {}
          service_mgr: systemd
    - ansible.builtin.include_role: {name: edged, tasks_from: preflight}
    - ansible.builtin.include_vars: ROLE/vars/main.yml
    - ansible.builtin.template:
        src: ROLE/templates/edged.yaml.j2
        dest: "OUT/{{ inventory_hostname }}.yaml"
    - ansible.builtin.template:
        src: ROLE/templates/deployed.conf.j2
        dest: "OUT/{{ inventory_hostname }}.conf"
      vars: {__edged_addresses: []}
    - ansible.builtin.template:
        src: ROLE/templates/workers.conf.j2
        dest: "OUT/{{ inventory_hostname }}.workers.conf"
      vars: {__edged_workers_unit: edged-workers}
"""


RELEASE = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: edged, tasks_from: release}
    - ansible.builtin.debug: {msg: "release {{ __edged_release }}"}
"""


def playbook() -> str:
    places = [os.environ.get("EDGED_ANSIBLE_VENV", ""), str(ROOT / ".venv-ansible")]
    path = os.pathsep.join([*(f"{place}/bin" for place in places if place), os.environ["PATH"]])
    found = shutil.which("ansible-playbook", path=path)
    if found is None or shutil.which("dpkg") is None:
        pytest.skip("ansible is not installed; tests/run --all makes a virtual environment with it")
    return found


def role(folder: Path, boards: dict[str, str], play: str = PLAY, *options: str) -> str:
    """Run the role's assertions for boards with these variables, as YAML; return what is printed."""
    (folder / "host_vars").mkdir(parents=True, exist_ok=True)
    (folder / "group_vars").mkdir()
    # Also for the templates, which this play uses outside the role.
    shutil.copy(
        ROOT / "deploy" / "roles" / "edged" / "defaults" / "main.yml", folder / "group_vars" / "all.yml"
    )
    for name, variables in boards.items():
        (folder / "host_vars" / f"{name}.yml").write_text(variables, "utf-8")
    (folder / "hosts").write_text(
        "\n".join(
            f"{name} ansible_connection=local ansible_python_interpreter=/usr/bin/python3" for name in boards
        )
    )
    (folder / "play.yml").write_text(play.replace("ROLE", str(ROLE)).replace("OUT", str(folder)))
    environment = {
        **os.environ,
        "ANSIBLE_ROLES_PATH": str(ROOT / "deploy" / "roles"),
        "ANSIBLE_HOME": str(folder / ".ansible"),
        "ANSIBLE_NOCOLOR": "1",
    }
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [playbook(), "-i", str(folder / "hosts"), str(folder / "play.yml"), *options],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def test_each_example_goes_through_the_role_unchanged(tmp_path: Path) -> None:
    boards = {}
    for path in EXAMPLES:
        config = yaml.safe_load(path.read_text("utf-8"))
        boards[path.stem] = {"edged_node": config.pop("node", path.stem), "edged_config": config}
    printed = role(tmp_path, {name: yaml.safe_dump(variables) for name, variables in boards.items()})
    assert "failed=0" in printed, printed[-3000:]
    for name, variables in boards.items():
        rendered = yaml.safe_load((tmp_path / f"{name}.yaml").read_text("utf-8"))
        assert rendered == {"node": variables["edged_node"], **variables["edged_config"]}, name
    assert "char-ttyUSB" in (tmp_path / "greenhouse.workers.conf").read_text("utf-8")


def test_what_deploy_install_writes_is_what_the_role_writes(tmp_path: Path) -> None:
    """It renders the role's templates without Ansible: the same text for each example."""
    boards, ours = {}, {}
    for path in EXAMPLES:
        config = yaml.safe_load(path.read_text("utf-8"))
        config.get("mqtt", {}).pop("host", None)  # no name is looked up here
        boards[path.stem] = yaml.safe_dump(
            {"edged_node": config.pop("node", path.stem), "edged_config": config}
        )
        (tmp_path / "in").mkdir(exist_ok=True)
        file = tmp_path / "in" / path.name
        file.write_text(yaml.safe_dump(config), "utf-8")
        ours[path.stem] = tmp_path / "ours" / path.stem
        ours[path.stem].mkdir(parents=True)
        command = [sys.executable, ROOT / "deploy/role_files.py", "write", file, ours[path.stem]]
        subprocess.run(command, check=True)
    printed = role(tmp_path, boards)
    assert "failed=0" in printed, printed[-3000:]
    for name, folder in ours.items():
        of_the_role = (tmp_path / f"{name}.workers.conf").read_text("utf-8")
        assert (folder / "workers.conf").read_text("utf-8") == of_the_role, name
        text = re.sub("(?m)^IPAddressAllow=[0-9a-f].*\n", "", (folder / "deployed.conf").read_text("utf-8"))
        assert text == (tmp_path / f"{name}.conf").read_text("utf-8"), name


NPU = """
edged_libedgetpu_pair: true
edged_config:
  pipelines:
    porch:
      source: {kind: v4l2}
      accelerator: {policy: prefer, library: libvx_delegate.so, nodes: [/dev/galcore, "/dev/dri/*"]}
  sensors: {meter: {kind: serial, device: /dev/serial/by-id/usb-a, protocol: mhz19}}
"""


def test_the_workers_may_open_what_is_plugged_in_later_and_the_nodes_of_an_accelerator(
    tmp_path: Path,
) -> None:
    printed = role(tmp_path, {"npu": NPU})
    assert "failed=0" in printed, printed[-3000:]
    lines = (tmp_path / "npu.workers.conf").read_text("utf-8").splitlines()
    # systemd allows a class of devices only once its driver is loaded.
    for module in ("usbserial", "cdc_acm"):
        assert f"After=modprobe@{module}.service" in lines
    assert "DeviceAllow=char-ttyUSB rw" in lines
    assert [line for line in lines if "/dev/" in line] == ["DeviceAllow=/dev/galcore rw"]


def test_the_workers_may_open_sound_cards_where_a_microphone_is_configured(tmp_path: Path) -> None:
    ear = "edged_config: {pipelines: {ear: {source: {kind: microphone}, model: {file: /m.tflite}}}}\n"
    eye = "edged_config: {pipelines: {eye: {source: {kind: v4l2}}}}\n"
    printed = role(tmp_path, {"ear": ear, "eye": eye})
    assert "failed=0" in printed, printed[-3000:]
    lines = (tmp_path / "ear.workers.conf").read_text("utf-8").splitlines()
    assert lines.count("[Unit]") == lines.count("[Service]") == 1
    for line in ("After=modprobe@snd.service", "DeviceAllow=char-alsa rw"):
        assert line in lines
    assert "alsa" not in (tmp_path / "eye.workers.conf").read_text("utf-8")


def test_a_board_with_sensors_only_is_deployed(tmp_path: Path) -> None:
    printed = role(
        tmp_path,
        {"shed": "edged_mqtt_host: 127.0.0.1\nedged_config: {sensors: {soil: {kind: w1, interval_s: 60}}}\n"},
    )
    assert "failed=0" in printed, printed[-3000:]


REFUSED = {
    "neither": ("edged_models: [{sha256: a}]", "needs name, a model that is installed by its name, or file"),
    "both": (
        "edged_models: [{name: a, file: b.tflite, sha256: a}]",
        "write name or file, not both: b.tflite",
    ),
    "unpinned": ("edged_models: [{file: b.tflite, src: /b}]", "each file of edged_models needs its sha256"),
    "address": ("edged_models: [{name: a, url: 'https://h/a'}]", "with a url needs its sha256"),
    "number": ("edged_mqtt_password: 012345", "edged_mqtt_password"),
    "date": ("edged_mqtt_password: 2024-01-01", "edged_mqtt_password"),
    "host": ("edged_mqtt_host: 10.0", "edged_mqtt_host"),
    "secret": ("edged_secrets: {camera: 1234}", "edged_secrets.camera"),
    "time": ("edged_config: {pipelines: {p: {trigger: {at: ['07:30', 17:30]}}}}", "at: 1050"),
    "no": ("edged_config: {pipelines: {p: {decision: {ignore: [background, no]}}}}", "ignore: false"),
    "node": ("edged_node: 0123", "edged_node"),
    "library": (
        f"edged_libedgetpu_sha256: {'0' * 64}\nedged_libedgetpu_url: https://x/libedgetpu1-std_16.0_arm64.deb",
        "edged_libedgetpu_pair installs one that fits",
    ),
    "nothing": ("edged_config: {mqtt: {host: a}}", "neither pipelines nor sensors"),
}


def test_values_that_yaml_took_for_something_else_are_refused(tmp_path: Path) -> None:
    sensors = "edged_config: {sensors: {s: {kind: w1}}}\n"
    printed = role(
        tmp_path,
        {name: f"{line}\n{'' if 'edged_config' in line else sensors}" for name, (line, _) in REFUSED.items()},
    )
    for name, (_, said) in REFUSED.items():
        told = [line for line in printed.splitlines() if f"[{name}]" in line and "failed" in line]
        assert any(said in line for line in told), (name, told, printed[-3000:])


def test_a_release_is_made_anew_where_picamera2_comes_later(tmp_path: Path) -> None:
    """Such a release keeps numpy from apt, so it is another one."""
    boards = {}
    for name, status in (("bare", 1), ("camera", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (tmp_path / name).chmod(0o755)
        keys = {"edged_install_from": "pypi", "edged_version": "9.9.9", "edged_python": str(tmp_path / name)}
        boards[name] = yaml.safe_dump({**keys, "edged_minimum_free_mb": 0})
    printed = role(tmp_path, boards, RELEASE, "--check")
    assert "failed=0" in printed, printed[-3000:]
    found = set(re.findall(r"release (9\.9\.9-\S+?)\"", printed))
    (bare,) = (release for release in found if not release.endswith("-picamera2"))
    assert found == {bare, f"{bare}-picamera2"}


MODELS = """
- hosts: all
  gather_facts: false
  handlers:
    - name: Restart edged
      ansible.builtin.debug: {msg: restarted}
  tasks:
    - ansible.builtin.include_role: {name: edged, tasks_from: models}
"""
PROGRAM = """#!/bin/sh
echo "$STATE_DIRECTORY $*" >> {log}
case "$4" in known) changed=false;; slow) echo "slow: more than 5 ms" >&2; exit 65;; *) changed=true;; esac
echo "{{\\"name\\": \\"$4\\", \\"changed\\": $changed}}"
"""


def test_models_are_installed_by_name(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program, log = tmp_path / "bin" / "edged", tmp_path / "log"
    program.write_text(PROGRAM.replace("$4", "$3").format(log=log))
    program.chmod(0o755)
    sha256 = "ab" * 32
    models = [
        {"name": "known"},
        {"file": "own.tflite", "src": "/own.tflite", "sha256": sha256},
        {"name": "garden", "url": "https://example.org/garden.tflite", "sha256": sha256, "budget_ms": 20.5},
    ]
    boards = {
        "good": yaml.safe_dump({"edged_models": models, "__edged_home": str(tmp_path)}),
        "bad": yaml.safe_dump({"edged_models": [{"name": "slow"}], "__edged_home": str(tmp_path)}),
    }
    printed = role(tmp_path, boards, MODELS)
    assert re.search(r"good +: ok=\d+ +changed=1 .*failed=0", printed), printed[-3000:]
    assert re.search(r"bad +: .*failed=1", printed)
    assert "more than 5 ms" in printed
    lines = [line for line in log.read_text("utf-8").splitlines() if "slow" not in line]
    garden = f"https://example.org/garden.tflite --name garden --json --sha256 {sha256} --budget-ms 20.5"
    assert lines == [
        "/var/lib/edged models add known --name known --json",
        f"/var/lib/edged models add {garden}",
    ]
