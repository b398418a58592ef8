"""Code that a worker may have left where Python looks for modules is never run by the service.

A virtual environment with the system's packages, as the role makes one, also reads the user's site directory,
and each ``.pth`` file there may run a line of Python.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from daemon import Daemon, wait_for

ROOT = Path(__file__).resolve().parents[2]
VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"
CONFIGURATION = """
state_dir: {0}/state
run_dir: {0}/run
pipelines: {{porch: {{source: {{kind: synthetic, interval_s: 0.1}}, decision: {{threshold: {1}}}}}}}
sensors: {{load: {{kind: synthetic, interval_s: 1}}}}
"""


def unit_command() -> list[str]:
    """Return the command of edged.service, without its Python and without its configuration."""
    unit = (ROOT / "systemd" / "edged.service").read_text()
    found = re.search(
        r"^ExecStart=/opt/edged/current/bin/python (.*) -c /etc/edged/edged.yaml$", unit, re.MULTILINE
    )
    assert found is not None
    return shlex.split(found[1])


@pytest.fixture
def python(tmp_path: Path) -> str:
    """An environment as the role makes one, with this checkout and what the tests run on."""
    venv = tmp_path / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", str(venv)], check=True
    )
    paths = (str(ROOT), sysconfig.get_path("purelib"))
    (venv / "lib" / VERSION / "site-packages" / "edged-test.pth").write_text("\n".join(paths))
    return str(venv / "bin" / "python")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with everything in it that a worker could plant; what runs leaves its command in ``ran``."""
    line = f"import sys; open({str(tmp_path / 'ran')!r}, 'a').write(' '.join(sys.orig_argv) + chr(10))\n"
    site = tmp_path / "home" / ".local" / "lib" / VERSION / "site-packages"
    site.mkdir(parents=True)
    (site / "planted.pth").write_text(line)
    (site / "usercustomize.py").write_text(line)
    (tmp_path / "home" / "edged").mkdir()
    (tmp_path / "home" / "edged" / "__init__.py").write_text(line)
    return tmp_path / "home"


def ran(home: Path) -> str:
    try:
        return (home.parent / "ran").read_text()
    except FileNotFoundError:
        return ""


def reload(daemon: Daemon, folder: Path) -> None:
    daemon.reload(CONFIGURATION.format(folder, 0.6))
    wait_for(lambda: {"main", "porch", "sensors"} <= set(daemon.health()["processes"]), "all processes")


def test_the_service_runs_nothing_of_its_home(
    python: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(home)
    control = subprocess.run(
        [python, "-m", "edged", "--help"], env={**os.environ, "HOME": str(home)}, check=False
    )
    assert control.returncode != 0, "the planted package hides the real one"
    assert "edged --help" in ran(home), "the control shows that it would be run"
    (tmp_path / "ran").unlink()
    command = [python, *unit_command()]
    with Daemon(tmp_path, CONFIGURATION.format(tmp_path, 0.5), command=command, HOME=str(home)) as daemon:
        reload(daemon, tmp_path)
        assert daemon.stop()[0] == 0, daemon.log
    assert ran(home) == ""


def test_children_of_a_main_by_hand_run_nothing_of_the_home(
    python: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(home)
    command = [python, "-P", "-m", "edged", "run"]
    with Daemon(tmp_path, CONFIGURATION.format(tmp_path, 0.5), command=command, HOME=str(home)) as daemon:
        reload(daemon, tmp_path)
        assert daemon.stop()[0] == 0, daemon.log
    assert {" ".join(line.split()[1:]) for line in ran(home).splitlines()} == {
        f"-P -m edged run -c {tmp_path}/edged.yaml"
    }
