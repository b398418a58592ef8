"""Explains why a device may not be opened: its mode forbids it, or the service."""

from __future__ import annotations

import errno
import re
from pathlib import Path

from edged.errors import Reason, Unavailable


def is_denied(error: BaseException) -> bool:
    """Return whether an error is about permission."""
    return getattr(error, "errno", None) in (errno.EACCES, errno.EPERM)


def denied(code: int | None, device: str, group: str) -> Unavailable:
    """Return the meaning of a permission error on opening a device, with what to do.

    The mode of the device gives EACCES; the devices that systemd or a container allow give EPERM.

    Args:
        code: the errno.
        device: the path of the device.
        group: the group that may open it.
    """
    if code == errno.EPERM:
        return Unavailable(
            Reason.DENIED,
            f"the service may not open {device}: write DeviceAllow={device_class(device)} rw below [Service] "
            "with sudo systemctl edit edged-workers, and restart edged (in a container: pass the device on)",
        )
    return Unavailable(
        Reason.DENIED,
        f"no permission to open {device}; add the user to group {group}: sudo usermod -aG {group} $USER",
    )


def device_class(device: str) -> str:
    """Return the name of a device's class as systemd writes it, such as char-ttyUSB; links are followed."""
    name = Path(device).resolve().name
    return f"char-{re.sub(r'-?[0-9]+$', '', name)}"
