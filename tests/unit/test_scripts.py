"""Scripts that no quick test runs: what they import from edged is there, and which camera one takes."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
SCRIPTS = sorted(
    path
    for folder in ("lab", "bench", "system", "board", "faults", "integration")
    for path in (TESTS / folder).rglob("*.py")
    if not path.name.startswith("test_")
)


def imported(path: Path) -> set[tuple[str, str]]:
    """Return what a script imports from edged: module and name, or a module and no name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {(alias.name, "") for alias in node.names}
    return {(module, name) for module, name in found if module.split(".")[0] == "edged"}


def is_there(module: str, name: str) -> bool:
    try:
        found = importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return not name or hasattr(found, name) or is_there(f"{module}.{name}", "")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(TESTS)))
def test_what_a_script_imports_is_there(path: Path) -> None:
    assert [found for found in imported(path) if not is_there(*found)] == []


def function_of_quickstart(name: str) -> str:
    quickstart = (TESTS.parent / "deploy/quickstart").read_text()
    found = re.search(rf"^{name}\(\) {{$.*?^}}$", quickstart, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[0]


CSI, WEBCAM = "/base/soc/i2c0mux/i2c@1/imx219@10", "/base/scb/pcie@7d500000/pci/usb@0,0-1.3:1.0-0c45:6366"


@pytest.mark.parametrize(
    ("cameras", "kind"),
    [([CSI], "picamera2"), ([CSI, WEBCAM], "picamera2"), ([WEBCAM], "other"), ([], "other")],
)
def test_quickstart_takes_no_webcam_for_a_csi_camera(cameras: list[str], kind: str, tmp_path: Path) -> None:
    """libcamera lists both; with a webcam alone, the driver for CSI cameras would never give a picture."""
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin/python"
    python.write_text(f'#!/bin/sh\nshift\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')  # without -I
    python.chmod(0o755)
    listed = [{"Id": camera} for camera in cameras]
    (tmp_path / "picamera2.py").write_text(
        f"class Picamera2:\n    global_camera_info = staticmethod(lambda: {listed})\n"
    )
    function = function_of_quickstart("source_line")
    program = f"camera=yes; prefix={tmp_path}; failed() {{ echo other; exit 1; }}\n{function}\nsource_line"
    program = program.replace("/dev/v", f"{tmp_path}/dev/v")  # without the cameras of this machine
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert (f"kind: {kind}" in done.stdout) or done.stdout == f"{kind}\n", done.stdout + done.stderr


@pytest.mark.parametrize("comes", [False, True])
def test_quickstart_installs_anew_when_picamera2_comes_later(comes: bool, tmp_path: Path) -> None:
    """An environment without the system's packages would hide it, and one with them keep the wrong numpy."""
    system, prefix = tmp_path / "python3", tmp_path / "venv"
    (prefix / "bin").mkdir(parents=True)
    (prefix / "bin/edged").write_text("#!/bin/sh\n")
    (prefix / "bin/edged").chmod(0o755)
    (prefix / "pyvenv.cfg").write_text("include-system-site-packages = false\n")
    version = 'case "$*" in *--version*) echo Python 3.11.2;; *) STATUS;; esac'
    stubs = (
        f"here={TESTS.parent} prefix={prefix} work={tmp_path} python={system}\n"
        'fingerprint() { echo code; }; say() { echo "$*"; }; die() { echo "$*"; exit 1; }\n'
        'suitable_python() { :; }; lock_without() { :; }; quietly() { echo "makes $1"; exit 0; }\n'
    )
    program = f"set -eu\n{stubs}{function_of_quickstart('install_edged')}\ninstall_edged"
    program = program.replace("/usr/bin/python3", str(system))

    def call(status: str) -> str:
        system.write_text(f"#!/bin/sh\n{version.replace('STATUS', status)}\n")
        system.chmod(0o755)
        done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    (prefix / ".quickstart").write_text("code-Python-3.11.2")
    printed = call("echo 1.24.2" if comes else "exit 1")
    assert ("already there" in printed) is not comes, printed
    assert ("keeping its numpy (1.24.2)" in printed) is comes
    assert (prefix / "pyvenv.cfg").exists() is not comes
