"""Video devices as Linux describes them before one is used: which there are, their formats, and their users.

Only sysfs, /proc and those ioctls of videodev2.h that do not disturb a program that streams. No OpenCV.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.sources import camera_nodes, pixel_formats

if TYPE_CHECKING:
    from collections.abc import Iterator

# videodev2.h: VIDIOC_QUERYCAP reads struct v4l2_capability (104 bytes), VIDIOC_REQBUFS takes
# v4l2_requestbuffers (20), VIDIOC_ENUM_FMT v4l2_fmtdesc (64), VIDIOC_G_FMT v4l2_format (208 on 64 bits).
_QUERYCAP = 0x80685600
_REQBUFS = 0xC0145608
_ENUM_FMT = 0xC0405602
_G_FMT = 0xC0D05604
_CAPABILITY = struct.Struct("=16s32s32sIII12x")
_BUFFERS = struct.Struct("=IIIIB3x")
_DESCRIPTION = struct.Struct("=III32s4sI12x")
_FORMAT = struct.Struct("=I4xII4sIII176x")
_CAPTURE, _STREAMING = 0x00000001, 0x04000000
_MMAP = 1
_MOST_FORMATS = 256  # a limit for drivers that never end their list

# Nodes of a Raspberry Pi's camera pipeline: they claim to capture, but only libcamera can use them.
_NO_CAMERA = ("bcm2835", "unicam", "rp1-cfe", "pispbe", "rpivid", "rpi-hevc-dec", "hevc")


_ioctl = fcntl.ioctl  # every call to the kernel goes through this; tests put a double behind it


@dataclass(frozen=True, slots=True)
class Camera:
    """One camera that OpenCV can read.

    Attributes:
        device: the path to configure: /dev/v4l/by-id/… where there is one, since /dev/video0 may change at
            boot.
        node: the same as /dev/videoN.
        name: the camera's own name.
    """

    device: str
    node: str
    name: str


def find(root: Path = Path("/")) -> list[Camera]:
    """Return the cameras of this machine, USB cameras first; opens them only to query their driver."""
    sysfs = root / "sys/class/video4linux"
    try:
        nodes = sorted((entry.name for entry in sysfs.iterdir()), key=_order)
    except OSError:
        return []
    found = []
    for node in nodes:
        if not re.fullmatch(r"video\d+", node):
            continue
        device = root / "dev" / node
        driver = captures(device)
        name = _text(sysfs / node / "name") or node
        if driver is None or driver.startswith(_NO_CAMERA) or name.startswith(_NO_CAMERA):
            continue
        # A device that cannot be queried is listed all the same, since opening it reports what to do. Of its
        # nodes only the first is: the others are metadata and outputs.
        if driver or _text(sysfs / node / "index") in ("", "0"):
            found.append(Camera(_stable(root, node), str(device), name))
    return sorted(found, key=lambda camera: "/by-id/" not in camera.device)


def captures(device: Path) -> str | None:
    """Return the driver of a device that captures; "" where it cannot be queried, None for other devices."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return "" if error.errno in (errno.EACCES, errno.EPERM, errno.EBUSY) else None
    try:
        return _driver(fd)
    except OSError:
        return None
    finally:
        os.close(fd)


def probe(device: str) -> None:
    """Find out why a device cannot be used, since OpenCV gives no reason.

    Raises:
        Unavailable: ABSENT, DENIED, LOST; the message says what to do.
        DeviceBusy: another program streams from it.
    """
    with _asking(device) as fd:
        if _driver(fd) is None:
            raise OSError(errno.ENOTTY, "it does not capture")
        # Only the owner of a stream may request buffers; requesting none changes nothing.
        _ioctl(fd, _REQBUFS, _BUFFERS.pack(0, _CAPTURE, _MMAP, 0, 0))


def formats(device: str) -> list[str]:
    """Return the pixel formats that a camera offers, in its own order; empty where it has no list.

    Raises:
        Unavailable: it cannot be queried.
    """
    found: list[str] = []
    with _asking(device) as fd:
        while len(found) < _MOST_FORMATS:
            try:
                answer = _ioctl(fd, _ENUM_FMT, _DESCRIPTION.pack(len(found), _CAPTURE, 0, b"", b"", 0))
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOTTY):  # the end of the list; no list at all
                    break
                raise
            found.append(_fourcc(_DESCRIPTION.unpack(answer)[4]))
    return found


def current(device: str) -> pixel_formats.Format:
    """Return the format that a camera is set to. Raises ``Unavailable`` where it cannot be queried."""
    with _asking(device) as fd:
        answer = _ioctl(fd, _G_FMT, _FORMAT.pack(_CAPTURE, 0, 0, b"", 0, 0, 0))
    _type, width, height, fourcc, _field, stride, _size = _FORMAT.unpack(answer)
    return pixel_formats.Format(_fourcc(fourcc), width, height, stride)


@contextmanager
def _asking(device: str) -> Iterator[int]:
    fd = -1
    try:
        fd = os.open(device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        yield fd
    except OSError as error:
        raise explain(device, error) from error
    finally:
        if fd >= 0:
            os.close(fd)


def explain(device: str, error: OSError) -> Unavailable:
    """Return the meaning of a kernel error, with what to do."""
    code = error.errno
    if code == errno.EBUSY:
        return DeviceBusy(f"{device} is in use", holder(device))
    if code in (errno.EACCES, errno.EPERM):
        return Unavailable(
            Reason.DENIED, f"{device} cannot be opened; {camera_nodes.remedy(os.path.realpath(device), code)}"
        )
    if code in (errno.ENOENT, errno.ENXIO):
        return Unavailable(
            Reason.ABSENT,
            f"there is no {device}; check that the camera is plugged in; `edged init` lists them",
        )
    if code == errno.ENODEV:
        return Unavailable(Reason.LOST, f"{device} is gone; it may have been unplugged")
    if code in (errno.ENOTTY, errno.EINVAL):
        return Unavailable(Reason.ABSENT, f"{device} is not a camera; `edged init` lists the cameras")
    return Unavailable(Reason.LOST, f"{device}: {error.strerror}")


def holder(device: str, proc: Path = Path("/proc")) -> str:
    """Return "name (pid N)" of another process that has the device open; empty where it is not visible."""
    target = os.path.realpath(device)
    for process in proc.iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if any(_leads_to(link, target) for link in (process / "fd").iterdir()):
                return f"{_text(process / 'comm') or 'a process'} (pid {process.name})"
        except OSError:  # it has ended, or belongs to another user
            continue
    return ""


def _leads_to(link: Path, target: str) -> bool:
    try:
        return str(link.readlink()) == target
    except OSError:  # closed meanwhile
        return False


def _driver(fd: int) -> str | None:
    """Return the driver's name where the node captures and streams, else None (metadata, output, codec)."""
    answer = _ioctl(fd, _QUERYCAP, bytes(_CAPABILITY.size))
    driver, _card, _bus, _version, _all, this = _CAPABILITY.unpack(answer)
    if this & _CAPTURE and this & _STREAMING:
        return driver.split(b"\0")[0].decode(errors="replace") or "unknown"
    return None


def _fourcc(code: bytes) -> str:
    """Return the characters of a code; big-endian variants of formats set the highest bit."""
    letters = (code[:3] + bytes([code[3] & 0x7F])).decode("ascii", "replace")
    return (letters if letters.isprintable() else code.hex()) + ("-BE" if code[3] & 0x80 else "")


def _stable(root: Path, node: str) -> str:
    """Return the udev name that survives reboots, or the node where there is none."""
    for kind in ("by-id", "by-path"):
        try:
            links = sorted((root / "dev/v4l" / kind).iterdir())
        except OSError:
            continue
        for link in links:
            if os.path.realpath(link) == os.path.realpath(root / "dev" / node):
                return str(link)
    return str(root / "dev" / node)


def _order(node: str) -> tuple[str, int]:
    digits = re.sub(r"\D", "", node)
    return re.sub(r"\d", "", node), int(digits or 0)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
