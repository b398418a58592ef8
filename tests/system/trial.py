"""The machines of the system test, and what a person does to them: an inventory, wheelhouses, playbooks."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from machines import Machine, run
from watching import Consumer

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
PORT = 8883
PASSWORD_PORT = 8884
PASSWORD = "correct horse"  # noqa: S105 - of a broker that lives for the test
FIRST = "2f35d20"  # the commit of 0.1.0, which has one unit and one user
# Folders whose content a run of the playbook in check mode may change: logs, and Ansible's own copies.
_NO_CHANGE = re.compile(
    r"^/(root/\.ansible|tmp|var/tmp|var/log|var/cache/apt|run|var/lib/systemd|etc/\.pwd\.lock)"
)


@dataclass(frozen=True)
class Played:
    """What a run of a playbook came to."""

    code: int
    seconds: float
    changed: dict[str, int]
    output: str


class Trial:
    """The machines, and what is done to them."""

    def __init__(self, work: Path, root: Path, wheels: Path) -> None:
        self.work = work
        self.porch = Machine("porch", 11, root, work)
        self.garage = Machine("garage", 12, root, work)
        self.broker = Machine("broker", 2, root, work)
        self.machines = (self.broker, self.porch, self.garage)
        self.authority = work / "ca"
        self.wheels = wheels
        self.houses: dict[str, Path] = {}
        self._lock = hashlib.sha256((ROOT / "deploy/requirements.lock").read_bytes()).hexdigest()[:8]
        self.version = re.findall(r'__version__ = "([^"]+)"', (ROOT / "edged/__init__.py").read_text())[0]
        login = [*("--cafile", "ca.pem", "--cert", "consumer.pem", "--key", "consumer.key")]
        files = [str(self.authority / f) if f.endswith((".pem", ".key")) else f for f in login]
        self.consumer = Consumer(
            [
                *("mosquitto_sub", "-h", self.broker.address, "-p", str(PORT), *files, "-V", "mqttv5"),
                *("-i", "consumer", "-c", "-x", "3600", "-q", "1", "-t", "edged/#", "-F", "%U %r %t %p"),
            ],
            work / "messages",
        )
        self.arguments = ["-i", str(work / "inventory.json")]
        self.first_message_s = 0.0

    # What a person has.

    def inventory(self) -> None:
        board = {"decision": {"threshold": 0.5, "votes": 1, "window": 1}}
        source = {"kind": "folder", "path": "/srv/photos", "interval_s": 0.5}
        content = {
            "all": {
                "vars": {
                    "ansible_user": "root",
                    "ansible_ssh_private_key_file": str(self.porch.key),
                    "ansible_python_interpreter": "/usr/bin/python3",
                    "edged_ca_dir": str(self.authority),
                },
                "children": {
                    "edged_broker": {
                        "hosts": {"broker": {"ansible_host": self.broker.address}},
                        "vars": {
                            "edged_broker_apt_update": False,
                            "edged_broker_alt_names": [f"IP:{self.broker.address}"],
                            "edged_broker_password_port": PASSWORD_PORT,
                            "edged_broker_passwords": {"guest": PASSWORD},
                        },
                    },
                    "edged_boards": {
                        "hosts": {m.name: {"ansible_host": m.address} for m in (self.porch, self.garage)},
                        "vars": {
                            "edged_apt_update": False,
                            "edged_install_from": "wheelhouse",
                            "edged_wheelhouse": str(self.house(self.version)),
                            "edged_version": self.version,
                            "edged_mqtt_host": self.broker.address,
                            "edged_gate_seconds": 4,
                            "edged_gate_timeout": 30,
                            "edged_config": {"pipelines": {"eye": {"source": source, **board}}},
                        },
                    },
                },
            }
        }
        (self.work / "ansible.cfg").touch()
        (self.work / "inventory.json").write_text(json.dumps(content))

    def release(self, version: str) -> str:
        """Return the name of the release of that version: it ends with the digest of the lock file."""
        return f"{version}-{self._lock}"

    def house(self, version: str, spoil: Callable[[Path], None] | None = None) -> Path:
        """Return a wheelhouse with edged of that version, made from this checkout."""
        if version in self.houses:
            return self.houses[version]
        sources = self.work / f"sources-{version}"
        command = f'. deploy/common.sh && copy_sources . "{sources}"'
        subprocess.run(["bash", "-c", command], cwd=ROOT, check=True)
        module = sources / "edged/__init__.py"
        text = re.sub('__version__ = "[^"]+"', f'__version__ = "{version}"', module.read_text())
        module.write_text(text)
        if spoil is not None:
            spoil(sources)
        house = self.work / f"wheels-{version}"
        shutil.copytree(self.wheels, house)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        offline = ["--no-index", "--find-links", str(self.wheels), "--wheel-dir", str(house), str(sources)]
        subprocess.run([*pip, *offline], check=True, stdout=subprocess.DEVNULL)
        self.houses[version] = house
        return house

    def first_release(self) -> Path | None:
        """Return a checkout of 0.1.0 with a wheelhouse in it; None where the history does not have it."""
        sources = self.work / "first"
        if run("git", "-C", str(ROOT), "cat-file", "-e", f"{FIRST}^{{commit}}", check=False).returncode != 0:
            return None
        sources.mkdir()
        command = f"git -C '{ROOT}' archive {FIRST} | tar -x -C '{sources}'"
        subprocess.run(["bash", "-c", command], check=True)
        house = sources / "wheels"
        shutil.copytree(self.wheels, house)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        offline = ["--no-index", "--find-links", str(self.wheels), "--wheel-dir", str(house), str(sources)]
        subprocess.run([*pip, *offline], check=True, stdout=subprocess.DEVNULL)
        return sources

    def play(
        self, playbook: str, *extra: str, good: bool = True, root: Path = ROOT, **variables: Any
    ) -> Played:
        """Apply a playbook of this checkout, or of another one."""
        since = time.monotonic()
        command = ["ansible-playbook", *self.arguments, f"deploy/{playbook}.yml", *extra]
        done = subprocess.run(
            [*command, "-e", json.dumps(variables)] if variables else command,
            cwd=root,
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(self.work / "ansible.cfg"),
                "ANSIBLE_NOCOLOR": "1",
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_HOST_KEY_CHECKING": "0",
                "ANSIBLE_HOME": str(self.work / "ansible"),
                "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s "
                "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        played = Played(
            done.returncode,
            time.monotonic() - since,
            {h: int(n) for h, n in re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", done.stdout, re.MULTILINE)},
            done.stdout + done.stderr,
        )
        if good and done.returncode != 0:
            raise AssertionError(f"{playbook} failed:\n{end(played.output)}")
        return played

    # What is asked of a board.

    def pid(self, board: Machine) -> int:
        return int(board.says("systemctl show edged --property MainPID --value"))

    def status(self, board: Machine) -> dict[str, Any]:
        found = json.loads(board.says("/opt/edged/current/bin/edged status --json"))
        assert isinstance(found, dict)
        return found

    def is_well(self, board: Machine) -> bool:
        done = board.ssh("/opt/edged/current/bin/edged status --json", check=False)
        if done.returncode != 0:
            return False
        status = json.loads(done.stdout)
        return bool(status["status"] == "ok" and status["broker"]["state"] == "connected")

    def files_of(self, board: Machine) -> dict[str, tuple[int, int]]:
        """Return what the board has beyond the bare Debian: path, size, time of change."""
        upper = self.work / board.name / "upper"
        found = {}
        for path in upper.rglob("*"):
            name = "/" + str(path.relative_to(upper))
            if not _NO_CHANGE.match(name) and not path.is_dir():
                state = path.lstat()
                found[name] = (state.st_size, state.st_mtime_ns)
        return found


def end(text: str, lines: int = 30) -> str:
    """Return what went wrong in a playbook, and the last lines of what it said."""
    fatal = [line for line in text.splitlines() if line.startswith(("fatal:", "failed:", "[ERROR]"))]
    return "\n".join([*fatal, *text.splitlines()[-lines:]])
