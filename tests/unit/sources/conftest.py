"""What the tests of sources share: pictures, a video, and the devices that are not here."""

from __future__ import annotations

import gc
import warnings
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from edged.sources import camera_nodes, sensor_hdr, video_devices
from edged.sources.drivers import picamera2
from edged.testing.picamera2 import Board
from edged.testing.pictures import paint
from edged.testing.v4l2 import Device
from unit.sources.real_picamera2 import WHEELS, RealBoard, unpacked

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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of a board with the double of picamera2, and with the real one."""
    if "board" in metafunc.fixturenames:
        real = [
            pytest.param(version, marks=pytest.mark.slow, id=f"picamera2-{version}") for version in WHEELS
        ]
        metafunc.parametrize("board", ["double", *real], indirect=True)


@pytest.fixture
def board(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Board]:
    """A Raspberry Pi with a camera, behind the double or the real picamera2; every test must give it back."""
    version = getattr(request, "param", "double")
    if version == "double":
        pi = Board()
    else:
        warnings.filterwarnings("ignore", "setDaemon", DeprecationWarning)
        folder = unpacked(version, tmp_path_factory.getbasetemp())
        pi = RealBoard(folder=folder, drops_startup_frames=version == "0.3.17")
    monkeypatch.setattr(camera_nodes, "refusal", pi.refusal)
    monkeypatch.setattr(sensor_hdr, "switch", pi.switch)
    monkeypatch.setenv("LIBCAMERA_RPI_TUNING_FILE", "of another program")
    monkeypatch.setattr(picamera2, "_kept", {})
    monkeypatch.setattr(picamera2, "_ours", set())  # one failure is to be one
    with pi.installed():
        yield pi
        if version != "double":
            gc.collect()  # a camera object that nobody closed complains when it goes
        assert not pi.left_behind(), "the driver did not give this back"
