"""Models in sealed memory, so that workers share them: eight pipelines with one model hold it once.

A model is copied by the kernel into a memory file that nobody can change any more. What a worker checks is
therefore what its runtime gets, whatever becomes of the file on disk, and a worker that is started again
needs no disk. The copy never enters this process's own memory.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from edged.ipc.readings_page import create as create_readings_page
from edged.models.tflite.file import MAX_BYTES
from edged.system import shared_memory
from edged.system.patience import within

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

PATIENCE_S = 5.0  # for a disk that hangs

_CHUNK = 1 << 20

_Version = tuple[int, int, int, int]  # device, inode, size, time of change in ns


class _Kept(NamedTuple):
    """A file in sealed memory."""

    version: _Version
    descriptor: int
    sha256: str


_Copied = _Kept | None  # None: the kept one is current


class ModelCache:
    """Keeps the models that are in use, by path, and the readings page."""

    def __init__(self) -> None:
        self._readings_page = -1
        self._models: dict[Path, _Kept] = {}
        self._under_way: dict[Path, asyncio.Task[None]] = {}
        self._closed = False

    @property
    def readings_page(self) -> int:
        """A descriptor of the readings page, which shows pipelines what sensors read; not mapped here."""
        if self._readings_page < 0:
            self._readings_page = create_readings_page()
        return self._readings_page

    async def fetch_all(self, paths: Iterable[Path]) -> dict[Path, int]:
        """Return descriptors of the models as they are on disk now, the caller's to close.

        Those that cannot be read are left out: the worker finds out why, and reports it.
        """
        for path in paths:
            await self._fetch(path)
        # No await from here on, so nothing that is kept goes away.
        return {path: os.dup(self._models[path].descriptor) for path in paths if path in self._models}

    def sha256(self, path: Path) -> str:
        """Return the checksum of a file that is kept, 64 hex digits; empty for another one."""
        return self._models[path].sha256 if path in self._models else ""

    async def _fetch(self, path: Path) -> None:
        """Keep a model as it is on disk now, in one copy also where several workers start at once."""
        task = self._under_way.get(path)
        if task is None:
            task = self._under_way[path] = asyncio.get_running_loop().create_task(self._read(path))
            task.add_done_callback(lambda _: self._under_way.pop(path))
        await asyncio.shield(task)

    async def _read(self, path: Path) -> None:
        """Keep a model as it is on disk now; drop it where the disk fails or hangs."""
        kept = self._models[path].version if path in self._models else None
        try:
            copied = await within(
                PATIENCE_S, lambda: _copy(path, kept), late=lambda copied: self._put(path, copied)
            )
        except OSError:  # TimeoutError is one
            self._drop(path)
        else:
            self._put(path, copied)

    def _put(self, path: Path, copied: _Copied) -> None:
        if copied is None:
            return  # the kept one is current
        self._drop(path)
        if self._closed:
            os.close(copied.descriptor)
        else:
            self._models[path] = copied

    def keep(self, paths: Collection[Path]) -> None:
        """Close the models that are not among these."""
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
            os.close(kept.descriptor)


def sealed_copy(path: Path) -> int:
    """Return a descriptor of sealed memory with the content of a model or a label file.

    Raises:
        OSError: the file is missing, or cannot be a model.
    """
    copied = _copy(path, None)
    assert copied is not None  # noqa: S101 - nothing was kept
    return copied.descriptor


def _copy(path: Path, kept: _Version | None) -> _Copied:
    """Return a model in sealed memory; None where the kept one is as on disk.

    Raises:
        OSError: the file is missing, or cannot be a model.
    """
    # O_NONBLOCK: a FIFO would block here for ever.
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(file)
        version = (about.st_dev, about.st_ino, about.st_size, about.st_ctime_ns)
        if version == kept:
            return None
        if not stat.S_ISREG(about.st_mode) or not 0 < about.st_size <= MAX_BYTES:
            raise OSError(f"{path} cannot be a model")
        descriptor = _sealed(file, about.st_size)
        return _Kept(version, descriptor, _sha256(descriptor))
    finally:
        os.close(file)


def _sealed(file: int, size: int) -> int:
    """Copy a file into sealed memory."""
    memory = os.memfd_create("edged-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        while (copied := os.sendfile(memory, file, None, size)) > 0:
            size -= copied
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, shared_memory.CONSTANT)
    except OSError:
        os.close(memory)
        raise
    return memory


def _sha256(descriptor: int) -> str:
    """Return the checksum of sealed memory, read in small pieces."""
    digest, at = hashlib.sha256(), 0
    while piece := os.pread(descriptor, _CHUNK, at):
        digest.update(piece)
        at += len(piece)
    return digest.hexdigest()
