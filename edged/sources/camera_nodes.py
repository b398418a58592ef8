"""The device nodes of a CSI camera: which of them this process may not open.

libcamera gives no reason: it skips nodes that it may not open, and its list of cameras is then empty, as on
a board without one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NamedTuple

from edged.system import permission

NODES = ("dev/media*", "dev/video*", "dev/v4l-subdev*", "dev/dma_heap/*")
_GROUP = "video"


class Refusal(NamedTuple):
    """A node that may not be opened.

    Attributes:
        node: its path.
        code: EACCES or EPERM.
    """

    node: str
    code: int


def refusal(root: Path = Path("/")) -> Refusal | None:
    """Return the first node that this process may not read and write; None where it may use all of them."""
    for pattern in NODES:
        for node in sorted(root.glob(pattern)):
            code = _error(node)
            if code in {errno.EACCES, errno.EPERM}:
                return Refusal(str(node), code)
    return None


def holder(root: Path = Path("/")) -> str:
    """Return "name (pid N)" of another process that uses a camera; empty where none is visible.

    libcamera locks a camera's media device. To have it open means nothing: desktops list the cameras.
    """
    nodes = {_numbers(node) for node in root.glob("dev/media*")}
    for line in _text(root / "proc/locks").splitlines():
        fields = line.replace("->", "").split()  # a lock that is waited for has an arrow
        if len(fields) < 6 or fields[1] != "POSIX" or fields[5] not in nodes:
            continue
        pid = fields[4]
        if pid.isdigit() and pid not in ("0", str(os.getpid())):
            return f"{_text(root / 'proc' / pid / 'comm').strip() or 'a process'} (pid {pid})"
    return ""


def remedy(node: str, code: int | None) -> str:
    """Return what to do about a node that cannot be opened."""
    heap = code != errno.EPERM and "/dma_heap/" in node
    if heap and _group(node) not in ("", _GROUP):  # as on Debian and Ubuntu
        return (
            "its group is not video: sudo cp systemd/udev/60-edged.rules /etc/udev/rules.d/ && "
            "sudo udevadm control --reload && sudo udevadm trigger"
        )
    return permission.remedy(code, node, _GROUP)


def _group(node: str) -> str:
    try:
        return Path(node).group()
    except (OSError, KeyError):
        return ""


def _numbers(node: Path) -> str:
    """Return what /proc/locks calls a file: the numbers of its file system, and its inode."""
    status = node.stat()
    return f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _error(node: Path) -> int:
    """Return the error of opening a node; 0 where it may be opened, which is not tried."""
    if os.access(node, os.R_OK | os.W_OK):
        return 0
    try:
        os.close(os.open(node, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return error.errno or 0
    return 0
