"""Notices that a file was written anew, so that a renewed password or certificate is tried at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Renewal:
    """Watches files by inode, size and time of change; cheap enough to ask each second."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = tuple(paths)
        self._seen = self._now()

    def mark(self) -> None:
        """Take the files as they are now for known."""
        self._seen = self._now()

    @property
    def happened(self) -> bool:
        """Whether one changed since the mark."""
        return self._now() != self._seen

    def _now(self) -> list[tuple[int, int, int] | None]:
        return [_fingerprint(path) for path in self._paths]


def _fingerprint(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
