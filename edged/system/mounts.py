"""Folders in memory, which a reboot empties: on a tmpfs, or on an overlay whose upper layer is one.

Raspberry Pi OS with its overlay file system, and images made to spare a card, keep everything that is written
in memory, without a word to the programs that write.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
# Upper layers that an initramfs mounts and hides: raspi-config, overlayroot, live systems.
_HIDDEN = ("/upper", "/overlay", "/media/root-rw", "/run/live", "/cow")
_ESCAPED = re.compile(r"\\([0-7]{3})")
MOUNTS = Path("/proc/self/mountinfo")


class _Mount(NamedTuple):
    at: PurePosixPath
    kind: str
    options: str


def in_memory(folder: Path, mounts: Path = MOUNTS) -> str:
    """Return the kind of file system in memory that holds a folder, such as ``tmpfs``; "" for none.

    Args:
        folder: it need not exist yet; its nearest parent counts.
        mounts: the kernel's list of mounts; another one in tests.
    """
    try:
        table = [_mount(line) for line in mounts.read_text("utf-8", "surrogateescape").splitlines() if line]
    except OSError:
        return ""
    return _kind(PurePosixPath(folder.resolve()), table)


def _kind(path: PurePosixPath, table: list[_Mount]) -> str:
    holder = _holder(path, table)
    if holder is None or holder.kind in _IN_MEMORY:
        return holder.kind if holder else ""
    if holder.kind != "overlay":
        return ""
    upper = _option(holder.options, "upperdir")
    if not upper:
        return ""  # nothing can be written there at all
    below = _holder(PurePosixPath(upper), [mount for mount in table if mount is not holder])
    hidden = holder.at == PurePosixPath("/") and upper.startswith(_HIDDEN)
    return "overlay in memory" if hidden or (below is not None and below.kind in _IN_MEMORY) else ""


def _holder(path: PurePosixPath, table: list[_Mount]) -> _Mount | None:
    """Return the mount that holds a path: the deepest, and of several at one place the last."""
    found = [mount for mount in table if path.is_relative_to(mount.at)]
    return max(reversed(found), key=lambda mount: len(mount.at.parts), default=None)


def _mount(line: str) -> _Mount:
    """Parse a line such as ``36 35 98:0 / /mnt rw,noatime shared:1 - ext4 /dev/root rw``."""
    before, _, after = line.partition(" - ")
    kind, _, rest = after.partition(" ")
    at = before.split(" ")[4]
    return _Mount(PurePosixPath(_plain(at)), kind, rest.rpartition(" ")[2])


def _option(options: str, name: str) -> str:
    for option in options.split(","):
        if option.startswith(f"{name}="):
            return _plain(option.removeprefix(f"{name}="))
    return ""


def _plain(text: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
