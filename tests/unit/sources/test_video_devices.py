from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import video_devices

if TYPE_CHECKING:
    from pathlib import Path

    from edged.testing.v4l2 import Device


def board(root: Path, nodes: dict[str, str]) -> Path:
    """A small /sys and /dev."""
    (root / "dev/v4l/by-id").mkdir(parents=True)
    for node, name in nodes.items():
        entry = root / "sys/class/video4linux" / node
        entry.mkdir(parents=True)
        (entry / "name").write_text(f"{name}\n")
        (root / "dev" / node).touch()
    return root


def test_finds_cameras_by_their_stable_name(tmp_path: Path, device: Device) -> None:
    del device
    root = board(tmp_path / "root", {"video0": "Onboard", "video10": "HD Webcam", "v4l-subdev0": "sensor"})
    stable = root / "dev/v4l/by-id/usb-HD_Webcam-video-index0"
    stable.symlink_to("../../video10")
    found = video_devices.find(root)
    assert [(c.device, c.name) for c in found] == [
        (str(stable), "HD Webcam"),
        (str(root / "dev/video0"), "Onboard"),
    ]
    assert found[0].node == str(root / "dev/video10")


@pytest.mark.parametrize("driver", [b"bcm2835-isp", b"unicam", b"rp1-cfe", b"pispbe"])
def test_leaves_the_nodes_of_the_raspberry_pi_camera_to_libcamera(
    tmp_path: Path, device: Device, driver: bytes
) -> None:
    device.driver = driver
    assert video_devices.find(board(tmp_path / "root", {"video0": "isp"})) == []


def test_leaves_out_what_captures_nothing(tmp_path: Path, device: Device) -> None:
    device.capabilities = 0x04A00000
    assert video_devices.find(board(tmp_path / "root", {"video1": "metadata"})) == []


def test_lists_one_node_of_a_camera_that_may_not_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it will say what to do; a second node is metadata, a codec is no camera."""
    monkeypatch.setattr(video_devices, "captures", lambda _: "")
    names = {"video0": "HD Webcam", "video1": "HD Webcam", "video10": "bcm2835-codec-decode"}
    root = board(tmp_path / "root", names)
    (root / "sys/class/video4linux/video1/index").write_text("1\n")
    assert [camera.node for camera in video_devices.find(root)] == [str(root / "dev/video0")]


def test_a_machine_without_cameras(tmp_path: Path) -> None:
    assert video_devices.find(tmp_path) == []


@pytest.mark.parametrize(
    ("code", "reason", "says"),
    [
        (errno.ENOENT, Reason.ABSENT, "plugged in"),
        (errno.EACCES, Reason.DENIED, "group video"),
        (errno.EPERM, Reason.DENIED, "DeviceAllow=char-video4linux rw"),
        (errno.ENODEV, Reason.LOST, "unplugged"),
        (errno.EBUSY, Reason.BUSY, "in use"),
        (errno.ENOTTY, Reason.ABSENT, "is not a camera"),
        (errno.EIO, Reason.LOST, "Input/output"),
    ],
)
def test_says_what_the_kernel_means(code: int, reason: Reason, says: str) -> None:
    error = video_devices.explain("/dev/video7", OSError(code, os.strerror(code)))
    assert error.reason is reason
    assert "/dev/video7" in str(error)
    assert says in str(error)


def test_names_who_holds_it(tmp_path: Path) -> None:
    device = tmp_path / "video0"
    device.touch()
    proc = tmp_path / "proc"
    for pid, target in ((4711, device), (4712, tmp_path / "other")):
        (proc / str(pid) / "fd").mkdir(parents=True)
        (proc / str(pid) / "fd" / "3").symlink_to(target)
        (proc / str(pid) / "comm").write_text("motion\n")
    (proc / "self").mkdir()
    assert video_devices.holder(str(device), proc) == "motion (pid 4711)"
    assert video_devices.holder(str(tmp_path / "none"), proc) == ""
    busy = DeviceBusy("/dev/video0 is in use", "motion (pid 4711)")
    assert str(busy) == "/dev/video0 is in use (held by motion (pid 4711))"


def test_the_formats_come_as_the_camera_lists_them(device: Device, tmp_path: Path) -> None:
    device.formats = ("YUYV", "Y16\xa0", "\x01\x00\x00\x00")
    path = str(tmp_path / "video0")
    assert video_devices.formats(path) == ["YUYV", "Y16 -BE", "01000000"]
    given = video_devices.current(path)
    assert (given.fourcc, given.width, given.height, given.stride) == ("YUYV", 640, 480, 1280)
    device.unplugged = True
    for ask in (video_devices.formats, video_devices.current):
        with pytest.raises(Unavailable, match="is gone"):
            ask(path)
