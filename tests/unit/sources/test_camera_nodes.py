from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import ROOT

from edged.sources import camera_nodes
from edged.sources.camera_nodes import Refusal
from edged.sources.drivers import picamera2
from edged.system import namespaces, permission

if TYPE_CHECKING:
    from collections.abc import Iterator

NODES = ("dev/media0", "dev/video0", "dev/v4l-subdev0", "dev/dma_heap/linux,cma", "dev/null")


def machine(root: Path, monkeypatch: pytest.MonkeyPatch, refused: dict[str, int]) -> Path:
    """Make a machine that refuses some nodes; access() tells that, but not why."""
    for node in NODES:
        (root / node).parent.mkdir(parents=True, exist_ok=True)
        (root / node).touch()
    error = {str(root / node): code for node, code in refused.items()}
    opening = os.open

    def refuse(path: str | Path, flags: int, *more: int) -> int:
        if str(path) in error:
            raise OSError(error[str(path)], os.strerror(error[str(path)]), str(path))
        return opening(path, flags, *more)

    monkeypatch.setattr(os, "access", lambda path, _mode: str(path) not in error)
    monkeypatch.setattr(os, "open", refuse)
    return root


@pytest.mark.parametrize("node", NODES[:-1])
@pytest.mark.parametrize("code", [errno.EACCES, errno.EPERM])
def test_finds_the_node_that_is_refused(
    node: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = machine(tmp_path, monkeypatch, {node: code})
    assert camera_nodes.refusal(root) == Refusal(str(root / node), code)


@pytest.mark.parametrize("refused", [{}, {"dev/null": errno.EACCES}, {"dev/video0": errno.EBUSY}])
def test_no_other_error_is_a_missing_permission(
    refused: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert camera_nodes.refusal(machine(tmp_path, monkeypatch, refused)) is None


def test_a_node_that_may_be_opened_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening a device may wake it."""
    root = machine(tmp_path, monkeypatch, {})
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    assert camera_nodes.refusal(root) is None


@pytest.mark.parametrize(
    ("node", "name"),
    [
        ("/dev/media3", "char-media"),
        ("/dev/video0", "char-video4linux"),
        ("/dev/v4l-subdev2", "char-video4linux"),
        ("/dev/dma_heap/linux,cma", "char-dma_heap"),
    ],
)
def test_what_the_unit_refuses_is_mended_in_the_unit(node: str, name: str) -> None:
    assert f"DeviceAllow={name} rw below" in camera_nodes.remedy(node, errno.EPERM)
    assert "sudo usermod -aG video" in camera_nodes.remedy(node, errno.EACCES)


def test_the_group_of_cameras_owns_their_memory_where_the_system_has_no_rule_for_it() -> None:
    rules = (ROOT / "systemd/udev/60-edged.rules").read_text()
    assert 'SUBSYSTEM=="dma_heap", GROUP="video", MODE="0660"' in rules
    workers = (ROOT / "systemd/edged-workers.service").read_text()
    nodes = ("/" + pattern.replace("*", "0") for pattern in camera_nodes.NODES)
    assert all(f"DeviceAllow={permission.device_class(node)} rw" in workers for node in nodes)


def test_what_libcamera_reads_is_within_the_walls() -> None:
    """Without /run/udev it finds no camera, and says nothing."""
    command = namespaces.command(["true"], picamera2.needs(picamera2.Config()), bwrap="bwrap")
    for folder in ("/sys", "/run/udev", "/etc/libcamera"):
        at = command.index(folder)
        assert command[at - 1 : at + 2] in (["--ro-bind-try", folder, folder], ["--ro-bind", folder, folder])
    assert "/usr" in command, "with its data, its modules and its proxies"
    workers = (ROOT / "systemd/edged-workers.service").read_text()
    (bound,) = (line for line in workers.splitlines() if line.startswith("BindReadOnlyPaths="))
    assert {"-/etc/libcamera", "-/run/udev"} <= set(bound.partition("=")[2].split())


@pytest.mark.parametrize(
    ("group", "words"),
    [("root", "60-edged.rules"), ("video", "usermod -aG video"), ("", "usermod -aG video")],
)
def test_a_heap_that_the_group_video_does_not_own_needs_a_rule(
    group: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def owner(_path: Path) -> str:
        if not group:
            raise KeyError("no such group")
        return group

    monkeypatch.setattr(Path, "group", owner)
    assert words in camera_nodes.remedy("/dev/dma_heap/linux,cma", errno.EACCES)
    assert "usermod -aG video" in camera_nodes.remedy("/dev/media0", errno.EACCES)


@contextlib.contextmanager
def locking(path: Path) -> Iterator[int]:
    """A process that holds a lock on a file, as libcamera does while a camera is acquired."""
    program = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'r+b')\n"
        "fcntl.lockf(file, fcntl.LOCK_EX)\n"
        "print(flush=True)\n"
        "input()"
    )
    command = [sys.executable, "-c", program, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield child.pid
        child.communicate(b"\n")


def test_who_has_locked_a_media_device_uses_the_camera(tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc").symlink_to("/proc")
    node, other = tmp_path / "dev/media3", tmp_path / "dev/video0"
    node.touch()
    other.touch()
    assert camera_nodes.holder(tmp_path) == ""
    with node.open("r+b") as own, node.open("rb"):
        fcntl.lockf(own, fcntl.LOCK_EX)
        assert camera_nodes.holder(tmp_path) == "", "neither this process nor one that has it open"
    with locking(other):
        assert camera_nodes.holder(tmp_path) == ""
    with locking(node) as pid:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        assert camera_nodes.holder(tmp_path) == f"{name} (pid {pid})"


@pytest.mark.parametrize(
    "line", ["", "1: POSIX", "1: POSIX  ADVISORY  WRITE 0 00:05:1 0 EOF", "nonsense " * 8, "\x00"]
)
def test_a_list_of_locks_that_says_nothing_is_read(line: str, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/media0").touch()
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/locks").write_text(line + "\n")
    assert camera_nodes.holder(tmp_path) == ""
