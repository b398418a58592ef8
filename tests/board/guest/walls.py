"""An attacker's code in a worker under the real units, with the board's own kernel and its camera in sight.

The attempts and their targets are those of ``tests/drivers/edged_attempts.py`` and ``tests/lab/targets.py``,
which lie beside this program.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from system import run, wait

HERE = Path(__file__).resolve().parent
PLACE = Path("/srv/walls")
UNITS = Path("/etc/systemd/system")
CONFIGURATION = Path("/etc/edged/edged.yaml")
STATUS = Path("/run/edged/status.json")
ATTACKER = f"""
  red:
    source: {{kind: lab, do: attack, cue: {PLACE}/told/targets, file: {PLACE}/found, interval_s: 1}}
    model: {{file: small.tflite, labels: small.txt}}
    deadlines: {{open_s: 60, capture_s: 120, invoke_s: 30}}
sensors:
"""
LEAST = 30  # attempts that succeed where nothing is in the way


def attempted() -> str:
    """Run the attempts; return what came of them."""
    packages = next(Path("/opt/edged/current/lib").glob("python3*/site-packages"))
    for name in ("edged_lab.py", "edged_attempts.py", "edged_lab-1.dist-info"):
        source = HERE / "drivers" / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, packages / name)
    usual = CONFIGURATION.read_text()
    try:
        found = _attack(usual)
    finally:
        CONFIGURATION.write_text(usual)
        for unit in ("edged", "edged-workers"):
            (UNITS / f"{unit}.service.d/walls.conf").unlink(missing_ok=True)
        run("systemctl", "daemon-reload", timeout_s=260)
    assert found["succeeded"] == [], found
    assert found["arrived"] == 0, found
    assert found["control"] >= LEAST, found
    return (
        f"{found['attempts']} attempts, {'+'.join(found['walls'])}: 0 succeed, 0 arrive "
        f"(without walls {found['control']} and {found['control_arrived']})"
    )


def _attack(usual: str) -> dict[str, Any]:
    shutil.rmtree(PLACE, ignore_errors=True)
    (PLACE / "told").mkdir(parents=True)
    (PLACE / "found").touch()
    model = "model: {file: small.tflite, labels: small.txt}"
    attacker = ATTACKER if model in usual else ATTACKER.replace(f"    {model}\n", "")
    CONFIGURATION.write_text(usual.replace("\nsensors:\n", attacker))
    (UNITS / "edged-workers.service.d/walls.conf").write_text(f"[Service]\nReadWritePaths={PLACE}/found\n")
    (UNITS / "edged.service.d/walls.conf").write_text("[Service]\nEnvironment=EDGED_TEST_SECRET=secret\n")
    run("systemctl", "daemon-reload", timeout_s=260)
    try:
        run("systemctl", "restart", "edged", timeout_s=260)
        status = wait("the attacker runs", _running, 120)
    except AssertionError as error:
        log = run("journalctl", "-u", "edged", "-u", "edged-workers", "-o", "cat", "-n", "20", "--no-pager")
        raise AssertionError(f"{error}\n{log}") from None
    pids = {"main": "main", "fork server": "forkserver", "sibling": "porch"}
    told = [f"{what}={status['processes'][name]['pid']}" for what, name in pids.items()]
    places = ["--state", "/var/lib/walls", "--secrets", "/etc/walls", "--control", "edged-workers"]
    for folder in ("/var/lib/walls", "/etc/walls"):
        shutil.rmtree(folder, ignore_errors=True)
    said = run("python3", str(HERE / "targets.py"), *places, str(PLACE), *told, timeout_s=200)
    answer: dict[str, Any] = json.loads(said)
    return answer | {"walls": status["pipelines"]["red"]["isolation"]}


def _running() -> dict[str, Any] | None:
    """Return the status once all that the attempts aim at is there."""
    if not STATUS.exists():
        return None
    status: dict[str, Any] = json.loads(STATUS.read_text())
    there = {"main", "forkserver", "porch"} <= status["processes"].keys()
    red = status["pipelines"].get("red", {}).get("state")
    return status if there and red == "running" else None
