"""An attacker's code in a worker under the real units: a step of the deployment.

The attempts are those of ``tests/drivers/edged_attempts.py``. What they aim at is open to every user of the
board, so that only the unit and the worker's own walls are in the way; the same user without them shows it.
Containers have no Landlock (systemd-nspawn refuses its calls), like Raspberry Pi OS.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from machines import until
from trial import ROOT

if TYPE_CHECKING:
    from machines import Machine
    from trial import Trial

PLACE = "/srv/walls"
ATTACKER = {
    "source": {"kind": "lab", "do": "attack", "cue": f"{PLACE}/told/targets", "file": f"{PLACE}/found"}
}
SIBLING = {"source": {"kind": "synthetic", "size": [64, 48]}}
USER = "edged-workers"
LEAST = 30  # attempts that succeed where nothing is in the way
OF_MAIN = "[Service]\nEnvironment=EDGED_TEST_SECRET=secret\n"


def walls(trial: Trial) -> str:
    board = trial.porch
    release = board.says("readlink -f /opt/edged/current").removeprefix("/")
    packages = next((board.path / release).glob("lib/python3*/site-packages"))
    drivers = sorted((ROOT / "tests/drivers").glob("edged_*"))
    try:
        for each in drivers:
            copy = shutil.copytree if each.is_dir() else shutil.copy
            copy(each, packages / each.name)
        found = _attack(trial)
        assert found["succeeded"] == [], found
        assert found["arrived"] == 0, found
        assert found["control"] >= LEAST, found
    finally:
        _tidy(board)
        for each in drivers:
            board.ssh(f"rm -r '/{release}/{packages.relative_to(board.path / release)}/{each.name}'")
        trial.play("site", "--limit", "porch")
    return (
        f"{found['attempts']} attempts, {'+'.join(found['walls'])}: 0 succeed, 0 arrive "
        f"(without walls {found['control']} and {found['control_arrived']})"
    )


def _attack(trial: Trial) -> dict[str, Any]:
    """Run the attempts in a worker of the service."""
    board = trial.porch
    _tidy(board)
    place = board.path / PLACE.removeprefix("/")
    place.mkdir()
    for file in ("tests/lab/targets.py", "tests/drivers/edged_attempts.py"):
        shutil.copy(ROOT / file, place)
    folder = board.path / "etc/systemd/system"
    shown = re.findall("^BindReadOnlyPaths=.*", (folder / "edged-workers.service").read_text(), re.MULTILINE)
    # The one file that a worker may write to here, to report: the role shows it what it reads, and only that.
    lines = ["[Service]", "BindReadOnlyPaths=", *shown, f"ReadWritePaths={PLACE}/found"]
    (folder / "edged-workers.service.d/walls.conf").write_text("\n".join(lines) + "\n")
    (folder / "edged.service.d/walls.conf").write_text(OF_MAIN)
    script = f"{PLACE}/targets.py --state /var/lib/walls --secrets /etc/walls --control {USER} {PLACE}"
    board.ssh(f"mkdir {PLACE}/told && touch {PLACE}/found && systemctl daemon-reload && systemctl stop edged")
    over = {"pipelines": {"red": ATTACKER, "sibling": SIBLING}}
    trial.play("site", "--limit", "porch", edged_config_overrides=over, edged_gate_timeout=60)
    until("well", lambda: trial.is_well(board), 30)
    status = trial.status(board)
    processes = status["processes"]
    pids = {"main": "main", "fork server": "forkserver", "sibling": "sibling"}
    told = " ".join(f"'{what}={processes[name]['pid']}'" for what, name in pids.items())
    done = board.ssh(f"python3 {script} {told}", check=False)
    if done.returncode != 0:
        log = board.says("journalctl -u edged -u edged-workers --no-pager --output cat -n 40")
        raise AssertionError(f"{done.stderr}\n{log}\n{json.dumps(trial.status(board)['pipelines']['red'])}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer | {"walls": status["pipelines"]["red"]["isolation"]}


def _tidy(board: Machine) -> None:
    places = f"{PLACE} /var/lib/walls /etc/walls"
    board.ssh(f"rm -rf {places} /etc/systemd/system/edged*.service.d/walls.conf; systemctl daemon-reload")
