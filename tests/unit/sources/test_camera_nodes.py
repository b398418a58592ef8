from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from edged.sources import camera_nodes
from edged.sources.camera_nodes import Refusal

if TYPE_CHECKING:
    from pathlib import Path

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
        ("/dev/other", "/dev/other"),
    ],
)
def test_what_the_unit_refuses_is_mended_in_the_unit(node: str, name: str) -> None:
    assert camera_nodes.remedy(node, errno.EPERM).endswith(f"DeviceAllow={name} rw")
    assert "sudo usermod -aG video" in camera_nodes.remedy(node, errno.EACCES)
