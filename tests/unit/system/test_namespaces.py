from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edged.system import namespaces
from edged.system.needs import EVERYTHING, Needs

LOOK = (
    "import os; print(os.listdir('/')); print(sorted(os.listdir('/dev'))); "
    "print([p for p in os.listdir('/proc') if p.isdecimal()]); print(sorted(os.environ))"
)


@pytest.fixture
def bwrap() -> str:
    found = namespaces.bubblewrap()
    if found is None:
        pytest.skip("bubblewrap is not installed, or may make no namespaces here")
    return found


def inside(program: str, needs: Needs, bwrap: str) -> str:
    command = namespaces.command([sys.executable, "-I", "-c", program], needs, bwrap=bwrap)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_worker_sees_the_system_and_nothing_of_anybody(bwrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "secret")
    root, devices, processes, variables = inside(LOOK, Needs(), bwrap).splitlines()
    assert "home" not in root
    assert "var" not in root
    assert "null" in devices
    assert not [name for name in ("mem", "sda", "video0", "fuse") if f"'{name}'" in devices]
    assert len(processes.split(",")) <= 2  # bubblewrap's own, and this one
    assert "MQTT_PASSWORD" not in variables


def test_what_is_named_can_be_read_and_not_written(bwrap: str, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.txt").write_text("here")
    (tmp_path / "secret.txt").write_text("not here")
    program = (
        f"print(open('{tmp_path}/photos/a.txt').read())\n"
        f"import os; print(os.path.exists('{tmp_path}/secret.txt'))\n"
        f"try: open('{tmp_path}/photos/b.txt', 'w')\n"
        "except OSError as error: print(error.strerror)\n"
    )
    needs = Needs(files=(str(tmp_path / "photos"), str(tmp_path / "missing")))
    assert inside(program, needs, bwrap).splitlines() == ["here", "False", "Read-only file system"]


def test_there_is_no_network_unless_it_is_needed(bwrap: str) -> None:
    program = "print([line.split(':')[0].strip() for line in open('/proc/net/dev')][2:])"
    assert inside(program, Needs(), bwrap).strip() == "['lo']"
    ours = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()][2:]
    assert inside(program, Needs(network=True), bwrap).strip() == str(ours)


def test_devices_are_bound_by_pattern_and_links_with_what_they_lead_to(tmp_path: Path) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    for name in ("video0", "video1", "sda"):
        (folder / name).touch()
    (folder / "by-id").symlink_to("video1")
    found = namespaces.nodes(Needs(devices=(f"{folder}/video*", f"{folder}/by-id")))
    assert found == [f"{folder}/by-id", f"{folder}/video0", f"{folder}/video1"]


@pytest.mark.parametrize("by_link", [False, True])
def test_a_virtual_serial_port_is_there_and_no_other_terminal(
    bwrap: str, tmp_path: Path, by_link: bool
) -> None:
    terminals = [*os.openpty(), *os.openpty()]
    name = os.ttyname(terminals[1])
    device = str(tmp_path / "ttyV0") if by_link else name
    if by_link:
        Path(device).symlink_to(name)
    program = (
        f"import os; print(os.isatty(os.open({device!r}, os.O_RDWR | os.O_NOCTTY))); "
        "print(os.listdir('/dev/pts'))"
    )
    seen = inside(program, Needs(devices=(device,)), bwrap).splitlines()
    assert seen == ["True", str([Path(name).name])]
    for descriptor in terminals:
        os.close(descriptor)


def test_a_driver_that_names_nothing_gets_every_device() -> None:
    line = namespaces.command(["true"], EVERYTHING, bwrap="bwrap")
    at = line.index("--dev-bind")
    assert line[at : at + 3] == ["--dev-bind", "/dev", "/dev"]
    assert "--dev" not in line


def test_a_file_that_was_replaced_is_stale_and_one_that_came_is_not(tmp_path: Path) -> None:
    photo, late = tmp_path / "photo.jpg", tmp_path / "late.jpg"
    photo.write_bytes(b"1")
    needs = Needs(files=(str(photo), str(late), str(tmp_path)))
    before = namespaces.signature(needs)
    late.write_bytes(b"2")
    came = namespaces.signature(needs)
    assert came != before
    assert not namespaces.is_stale(before, came)
    (tmp_path / "new").write_bytes(b"3")
    os.replace(tmp_path / "new", photo)  # noqa: PTH105 - rename(2) is the point
    assert namespaces.is_stale(before, namespaces.signature(needs))
