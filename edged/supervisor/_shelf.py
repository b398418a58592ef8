"""Models in sealed memory, so that workers share them: eight pipelines with one model hold it once.

A model is copied by the kernel into a memory file that nobody can change any more. What a worker checks is
therefore what its runtime gets, whatever becomes of the file on disk, and a worker that is started again
needs no disk. The copy never enters this process's own memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MAX_BYTES = 512 * 1024 * 1024  # as tflite_file; a larger file is refused by the worker, which says so
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

_Stamp = tuple[int, int, int, int]  # device, inode, size, time of change in ns


class Shelf:
    """Keeps the models that are in use, by path."""

    def __init__(self) -> None:
        self._models: dict[Path, tuple[_Stamp, int]] = {}
        self._turn = asyncio.Lock()

    async def fetch(self, path: Path) -> int:
        """Return a descriptor of the model as it is on disk now, the caller's to close; -1 for none.

        Why there is none is for the worker to find out and to say: it reads the file itself then.
        """
        async with self._turn:
            memory = await asyncio.to_thread(self._fetch, path)
        return os.dup(memory) if memory >= 0 else -1

    def _fetch(self, path: Path) -> int:
        # O_NONBLOCK: a FIFO would block here for ever.
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return -1
        try:
            about = os.fstat(file)
            stamp = (about.st_dev, about.st_ino, about.st_size, about.st_ctime_ns)
            kept = self._models.get(path)
            if kept is not None and kept[0] == stamp:
                return kept[1]
            if not stat.S_ISREG(about.st_mode) or not 0 < about.st_size <= MAX_BYTES:
                return -1
            memory = _sealed(file, about.st_size)
        except OSError:
            return -1
        finally:
            os.close(file)
        self._drop(path)
        self._models[path] = (stamp, memory)
        return memory

    def keep(self, paths: Collection[Path]) -> None:
        """Close what is not among these."""
        for path in self._models.keys() - set(paths):
            self._drop(path)

    def close(self) -> None:
        """Close everything; harmless when called twice."""
        self.keep(())

    def _drop(self, path: Path) -> None:
        _, memory = self._models.pop(path, ((0, 0, 0, 0), -1))
        if memory >= 0:
            with contextlib.suppress(OSError):
                os.close(memory)


def _sealed(file: int, size: int) -> int:
    """Copy a file into sealed memory."""
    memory = os.memfd_create("edged-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        while (copied := os.sendfile(memory, file, None, size)) > 0:
            size -= copied
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
    except OSError:
        os.close(memory)
        raise
    return memory
