"""Explains why a device may not be opened, and what to do: its mode forbids it, or the service.

The mode of a device refuses with EACCES; the devices that a systemd unit or a container allows refuse with
EPERM, whatever groups the user is in.
"""

from __future__ import annotations

import errno
import re
from pathlib import Path

from edged.errors import Reason, Unavailable

# The names that systemd's DeviceAllow= has for devices which are not called like their class.
_CLASSES = {
    "dev/video*": "char-video4linux",
    "dev/v4l-subdev*": "char-video4linux",
    "dev/dma_heap/*": "char-dma_heap",
    "bus/usb/*/*": "char-usb_device",
    "dev/apex_*": "char-apex",
    "dev/snd/*": "char-alsa",
}


def is_denied(error: BaseException) -> bool:
    """Return whether an error is about permission."""
    return getattr(error, "errno", None) in (errno.EACCES, errno.EPERM)


def denied(code: int | None, device: str, group: str) -> Unavailable:
    """Return the meaning of a permission error on opening a device, with what to do.

    Args:
        code: the errno.
        device: the path of the device.
        group: the group that may open it.
    """
    what = (
        f"the service may not open {device}:" if code == errno.EPERM else f"no permission to open {device};"
    )
    return Unavailable(Reason.DENIED, f"{what} {remedy(code, device, group)}")


def remedy(code: int | None, device: str, group: str) -> str:
    """Return what to do about a device that may not be opened; the arguments are those of :func:`denied`."""
    if code == errno.EPERM:
        return (
            f"write DeviceAllow={device_class(device)} rw below [Service] with sudo systemctl edit "
            "edged-workers, and restart edged (in a container: pass the device on)"
        )
    return f"add the user to group {group}: sudo usermod -aG {group} $USER"


def device_class(device: str) -> str:
    """Return the name of a device's class as systemd writes it, such as char-ttyUSB; links are followed."""
    path = Path(device).resolve()
    named = (name for pattern, name in _CLASSES.items() if path.match(pattern))
    return next(named, f"char-{re.sub(r'-?[0-9]+$', '', path.name)}")
