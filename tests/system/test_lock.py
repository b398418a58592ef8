"""The lock file has one version and its hashes for whatever a board needs; nothing here asks a network."""

from __future__ import annotations

import configparser
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "requirements.lock"
BOARDS = [(version, machine) for version in ("3.11", "3.12", "3.13") for machine in ("aarch64", "x86_64")]
PIN = re.compile(r"^(?P<name>\S+)==(?P<version>\S+)(?: ; (?P<marker>.*?))? \\$", re.MULTILINE)


def environment(version: str, machine: str) -> dict[str, str]:
    return {
        "python_version": version,
        "python_full_version": f"{version}.0",
        "platform_machine": machine,
        "sys_platform": "linux",
    }


def required(version: str, machine: str) -> list[Requirement]:
    """Return what setup.cfg and pyproject.toml want on such a board."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    lines = [setup["options"]["install_requires"], *(extras[name] for name in ("gpio", "i2c", "serial"))]
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    texts = [line for line in "\n".join([*lines, *build]).splitlines() if line and not line.startswith("#")]
    found = [Requirement(text) for text in texts]
    return [r for r in found if r.marker is None or r.marker.evaluate(environment(version, machine))]


def pins(version: str, machine: str) -> list[tuple[str, str]]:
    return [
        (found["name"], found["version"])
        for found in PIN.finditer(LOCK.read_text())
        if found["marker"] is None or Marker(found["marker"]).evaluate(environment(version, machine))
    ]


@pytest.mark.parametrize(("version", "machine"), BOARDS)
def test_it_satisfies_what_edged_requires(version: str, machine: str) -> None:
    locked = dict(pins(version, machine))
    assert len(locked) == len(pins(version, machine)), "one version of each package"
    for requirement in required(version, machine):
        name = requirement.name.lower().replace("_", "-")
        assert name in locked, f"{requirement} is missing: run deploy/lock"
        assert requirement.specifier.contains(locked[name]), f"{requirement}, and {locked[name]} is locked"


@pytest.mark.parametrize("name", ["requirements.lock", "ansible.lock"])
def test_each_package_has_hashes_and_no_address(name: str) -> None:
    text = (ROOT / "deploy" / name).read_text()
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)
    assert len(blocks) > 20
    for block in blocks[1:]:
        head, *lines = block.splitlines()
        assert PIN.match(head), head
        assert lines
        assert all(re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?", line) for line in lines), head
    assert not re.search("://|index|find-links|trusted-host", text)


@pytest.mark.parametrize(("version", "machine"), BOARDS)
def test_the_scripts_read_it_in_the_same_way(version: str, machine: str) -> None:
    script = f'. deploy/common.sh && lock_for "$(pick_python)" {LOCK} {version} {machine}'
    said = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert re.findall(r"^(\S+)==(\S+) \\$", said, re.MULTILINE) == pins(version, machine)
    assert said.count("--hash=") >= len(pins(version, machine))


def test_numpy_can_be_left_to_the_system() -> None:
    script = f". deploy/common.sh && lock_without numpy {LOCK}"
    said = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "numpy==" not in said
    assert len(PIN.findall(LOCK.read_text())) - len(PIN.findall(said)) == 2
