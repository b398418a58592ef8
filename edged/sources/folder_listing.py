"""The photographs of a folder by name, kept up to date at the cost of a stat."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

from edged.sources import photograph_names

SETTLE_NS = 2 * 10**9  # what changed less than this ago may still be changing
_DEEPEST = 16  # sub-folders below one another


class _Folder(NamedTuple):
    changed_at: int  # its modification time when it was listed, in ns; -1: list it again
    photographs: tuple[str, ...]
    folders: tuple[str, ...]
    others: tuple[str, ...]


class Listing:
    """The photographs in a folder.

    Attributes:
        names: their paths below the folder, sorted.

    Args:
        path: the folder.
        recursive: those in its sub-folders too. Links to folders are not followed: they may lead back.
    """

    names: list[str]

    def __init__(self, path: Path, *, recursive: bool = False) -> None:
        self._path = path
        self._recursive = recursive
        self._folders: dict[str, _Folder] = {}
        self.names = []

    def refresh(self) -> bool:
        """Look at the folder again; return whether it was listed anew.

        Raises:
            OSError: the folder cannot be read.
        """
        folders: dict[str, _Folder] = {}
        self._visit("", folders, 0)
        if folders == self._folders and all(folder.changed_at >= 0 for folder in folders.values()):
            return False
        self._folders = folders
        self.names = sorted(
            str(Path(below, name)) for below, folder in folders.items() for name in folder.photographs
        )
        return True

    def again(self) -> None:
        """List it anew at the next refresh: a name in it was found to be gone."""
        self._folders = {below: folder._replace(changed_at=-1) for below, folder in self._folders.items()}

    def remark(self) -> str:
        """Return why there may be no photograph in a folder that looks as if there were; or nothing."""
        top = self._folders.get("")
        if top is None:
            return ""
        if not self._recursive:
            for name in top.folders:
                if Listing(self._path / name).holds_any():
                    return (
                        f"its sub-folders have some: set `recursive: true`, or name one: {self._path / name}"
                    )
        return photograph_names.others(name for folder in self._folders.values() for name in folder.others)

    def holds_any(self) -> bool:
        """Return whether there is a photograph in it; False where it cannot be read."""
        try:
            self.refresh()
        except OSError:
            return False
        return bool(self.names)

    def _visit(self, below: str, folders: dict[str, _Folder], depth: int) -> None:
        path = self._path / below
        changed = path.stat().st_mtime_ns
        known = self._folders.get(below)
        if known is None or known.changed_at != changed:
            # Two changes within one tick of the file system's clock look like one: rely only on an old time.
            settled = time.time_ns() - changed > SETTLE_NS
            known = _list(path, changed if settled else -1)
        folders[below] = known
        if self._recursive and depth < _DEEPEST:
            for name in known.folders:
                try:
                    self._visit(str(Path(below, name)), folders, depth + 1)
                except OSError:  # removed meanwhile, or closed to us: the others count
                    continue


def _list(path: Path, changed_at: int) -> _Folder:
    photographs, folders, others = [], [], []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if photograph_names.is_entered(entry.name):
                    folders.append(entry.name)
            elif photograph_names.is_photograph(entry.name):
                photographs.append(entry.name)
            else:
                others.append(entry.name)
    return _Folder(changed_at, tuple(sorted(photographs)), tuple(sorted(folders)), tuple(others[:1000]))
