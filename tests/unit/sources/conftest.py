"""What the tests of sources share: pictures, a video, and the devices that are not here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edged.sources import camera_nodes, video_devices
from edged.testing.picamera2 import Board
from edged.testing.pictures import paint
from edged.testing.v4l2 import Device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for n, name in enumerate(("b.jpg", "a.png", "c.bmp")):
        paint(folder / name, 50 * (n + 1))
    return folder


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten frames, ever brighter, 20 a second."""
    path = tmp_path_factory.mktemp("video") / "ten.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for n in range(10):
        writer.write(np.full((48, 64, 3), 20 * n + 20, np.uint8))
    writer.release()
    return path


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Device:
    """A USB camera behind ``tmp_path/video0``."""
    (tmp_path / "video0").touch()
    camera = Device()
    monkeypatch.setattr(video_devices, "_ioctl", camera.ioctl)
    monkeypatch.setattr(cv2, "VideoCapture", camera.capture)
    return camera


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A Raspberry Pi with a camera; every test must give it back."""
    pi = Board()
    monkeypatch.setattr(camera_nodes, "refusal", pi.refusal)
    with pi.installed():
        yield pi
    assert not pi.open_cameras, "the driver did not close the camera"
    assert not pi.manager.cameras, "the driver left a camera object in picamera2's list"
    assert not pi.open_descriptors(), "the driver left pipes open"
    assert pi.held == 0, "the driver holds a buffer that it will never give back"
