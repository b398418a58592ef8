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
import threading
from typing import TYPE_CHECKING

from edged.ipc import readings_page

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

MAX_BYTES = 512 * 1024 * 1024  # as tflite_file; a larger file is refused by the worker, which says so
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL

PATIENCE_S = 5.0  # for a disk

_Stamp = tuple[int, int, int, int]  # device, inode, size, time of change in ns
_Found = tuple[_Stamp, int] | None  # with a descriptor


class ModelCache:
    """Keeps the models that are in use, by path, and the readings page."""

    def __init__(self) -> None:
        self._readings_page = -1
        self._models: dict[Path, tuple[_Stamp, int]] = {}
        self._closed = False

    @property
    def readings_page(self) -> int:
        """A descriptor of the page through which sensors let pipelines run; it is not mapped here."""
        if self._readings_page < 0:
            self._readings_page = readings_page.create()
        return self._readings_page

    async def fetch_all(self, paths: Iterable[Path]) -> dict[Path, int]:
        """Return descriptors of the models as they are on disk now, the caller's to close.

        Those that cannot be had are left out: why, is for the worker to find out and to say.
        """
        for path in paths:
            await self._fetch(path)
        # No await from here on: what is on the shelf stays there.
        return {path: os.dup(self._models[path][1]) for path in paths if path in self._models}

    async def _fetch(self, path: Path) -> None:
        """Put a model on the shelf, by a thread that nobody has to wait for: its disk may hang."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        kept = self._models.get(path, (None, -1))[0]

        def settle(found: _Found, failed: bool) -> None:
            self._put(path, found, failed)  # also where nobody waits any more
            if not done.done():
                done.set_result(None)

        def run() -> None:
            found, failed = None, False
            try:
                found = _copy(path, kept)
            except OSError:
                failed = True
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, found, failed)

        threading.Thread(target=run, name="shelf", daemon=True).start()
        try:
            async with asyncio.timeout(PATIENCE_S):
                await done
        except TimeoutError:
            self._drop(path)

    def _put(self, path: Path, found: _Found, failed: bool) -> None:
        if found is None and not failed:
            return  # what is kept is good
        self._drop(path)
        if found is not None and self._closed:
            os.close(found[1])
        elif found is not None:
            self._models[path] = found

    def keep(self, paths: Collection[Path]) -> None:
        """Close what is not among these."""
        for path in self._models.keys() - set(paths):
            self._drop(path)

    def close(self) -> None:
        """Close everything; harmless when called twice."""
        self._closed = True
        self.keep(())
        if self._readings_page >= 0:
            os.close(self._readings_page)
            self._readings_page = -1

    def _drop(self, path: Path) -> None:
        kept = self._models.pop(path, None)
        if kept is not None:
            os.close(kept[1])


def _copy(path: Path, kept: _Stamp | None) -> _Found:
    """Return a model in sealed memory; None where the one that is kept is as on disk.

    Raises:
        OSError: there is no such file, or none that can be a model.
    """
    # O_NONBLOCK: a FIFO would block here for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        stamp = (about.st_dev, about.st_ino, about.st_size, about.st_ctime_ns)
        if stamp == kept:
            return None
        if not stat.S_ISREG(about.st_mode) or not 0 < about.st_size <= MAX_BYTES:
            raise OSError("no model")
        return stamp, _sealed(file, about.st_size)
    finally:
        os.close(file)


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
