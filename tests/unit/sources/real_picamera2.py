"""The real picamera2, in the versions that edged supports, over a libcamera made by hand.

Its wheel is downloaded where a registry can be reached, checked, and unpacked for the session; nothing
of it is installed. What it imports and edged does not use (encoders, EXIF) is replaced by empty modules.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import subprocess
import sys
import threading
import time
import types
import weakref
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from edged.testing.picamera2 import Board
from unit.sources import libcamera_stub

if TYPE_CHECKING:
    from collections.abc import Iterator

WHEELS = {
    "0.3.17": "0cd5b0b7643b90cbcb5fa6cad3f2b9ee800a224f9fa84203a67daef66c527218",
    "0.3.31": "0f94221f6fcd6ca16a7ea7fd77654c40583cecac39971a8dcc9b974a0cef7e6d",
    "0.3.36": "99c2b97a65e5739ce68743b79e627b1bbb9024d91bc5e3915b98cfd0dcbec1a0",
}
_UNUSED = "av av.stream kms piexif pidng pidng.core pidng.camdefs prctl simplejpeg v4l2 videodev2 PIL"


@functools.cache
def unpacked(version: str, folder: Path) -> str:
    """Return a folder with the package, or skip: there may be no network, and it is no part of edged."""
    wanted = folder / f"picamera2-{version}.txt"
    wanted.write_text(f"picamera2=={version} --hash=sha256:{WHEELS[version]}\n")
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "download"]
    done = subprocess.run(
        [
            *pip,
            "--retries=0",
            "--timeout=10",
            "--no-deps",
            "--require-hashes",
            f"--dest={folder}",
            f"-r{wanted}",
        ],
        capture_output=True,
        check=False,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"picamera2 {version} cannot be downloaded: {done.stderr.strip().splitlines()[-1]}")
    there = folder / version
    with zipfile.ZipFile(next(folder.glob(f"picamera2-{version}-*.whl"))) as wheel:
        wheel.extractall(there)
    return str(there)


@dataclass
class RealBoard(Board):
    """A board whose cameras the real picamera2 drives.

    Attributes:
        folder: where the package is.
        drops_startup_frames: libcamera drops the first frames itself, as beside picamera2 0.3.17.
        package: the package, once it was imported.
    """

    folder: str = ""
    drops_startup_frames: bool = False
    package: Any = None

    def __post_init__(self) -> None:
        """Note what is open before."""
        super().__post_init__()
        self._pipes = _pipes()
        self._manager: weakref.ref[libcamera_stub.CameraManager] | None = None

    def singleton(self) -> libcamera_stub.CameraManager:
        """Return libcamera's manager: the one that is there for as long as anyone uses it, or a new one."""
        manager = self._manager() if self._manager is not None else None
        if manager is None:
            manager = libcamera_stub.CameraManager(self)
            self._manager = weakref.ref(manager)
        return manager

    def __setattr__(self, name: str, value: Any) -> None:
        """Make the frame that picamera2 keeps an old one, as after the death of a camera."""
        super().__setattr__(name, value)
        if name in {"cameras", "usb", "denied"} and self.package is not None:
            self.package.Picamera2._cm._cms = None
        if name == "kept_s" and value:
            self._age(value)

    def _age(self, seconds: float) -> None:
        stamp = libcamera_stub.control("SensorTimestamp")
        hung, deadline = self.hangs, time.monotonic() + 5
        while time.monotonic() < deadline:
            self.hangs = True
            threading.Event().wait(0.1)  # what was on its way arrives
            for camera in self.package.Picamera2._cm.cameras.values():
                for kept in camera.completed_requests:
                    kept.request.metadata[stamp] = time.monotonic_ns() - round(seconds * 1e9)
                    self.hangs = hung
                    return
            self.hangs = False
            threading.Event().wait(0.02)
        raise AssertionError("picamera2 keeps no frame")

    def left_behind(self) -> str:
        """Return what is not as it was before any camera was opened, in words."""
        cameras = {} if self.package is None else self.package.Picamera2._cm.cameras
        pipes = {} if cameras else _pipes() - self._pipes
        return " ".join(
            f"{what}: {there}"
            for what, there in (("acquired", self.open_cameras), ("objects", cameras), ("pipes", pipes))
            if there
        )

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Make ``import picamera2`` return the real package."""
        if self.package is not None:  # as within the first time, on a board that may be of the other kind
            self.package.Picamera2.platform = self.package.Platform[self.platform.name]
            yield
            return
        before = dict(sys.modules)
        sys.modules.update({name: _Empty(name) for name in _UNUSED.split()} | libcamera_stub.modules(self))
        sys.path.insert(0, self.folder)
        try:
            self.package = importlib.import_module("picamera2")
            self._replace_the_heap()
            yield
        finally:
            sys.path.remove(self.folder)
            for name in set(sys.modules) - set(before):
                if name.partition(".")[0] in {"picamera2", "libcamera", *_UNUSED.split()}:
                    del sys.modules[name]
            sys.modules.update({name: before[name] for name in _UNUSED.split() if name in before})

    def _replace_the_heap(self) -> None:
        """Let the package's own code allocate its buffers from memory, as this machine has no such heap."""
        heap = importlib.import_module("picamera2.dma_heap")
        allocator = importlib.import_module("picamera2.allocators.dmaallocator")
        own = {name: getattr(os, name) for name in ("O_CLOEXEC", "O_RDWR", "close")}
        heap.os = types.SimpleNamespace(**own, open=self._open_heap)  # type: ignore[attr-defined]  # a module made by hand
        heap.fcntl = types.SimpleNamespace(ioctl=_allocate)  # type: ignore[attr-defined]  # a module made by hand
        allocator.fcntl = types.SimpleNamespace(ioctl=lambda *_: 0)  # type: ignore[attr-defined]  # a module made by hand

    def _open_heap(self, path: str, _flags: int) -> int:
        if self.no_heap:
            raise OSError(self.no_heap, os.strerror(self.no_heap), "/dev/dma_heap/linux,cma")
        return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC) if path else -1


class _Names(type):
    """The type of a class whose attributes are their names, as an import reads constants of libraries."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        return name


class _Empty(types.ModuleType):
    """A module whose names are classes that do nothing; ``_IOW`` and ``_IOWR`` number ioctls."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in {"_IOW", "_IOWR"}:
            return lambda base, number, _type: (ord(base) << 8) | number
        return _Names(name, (), {})


def _allocate(_fd: int, request: int, argument: Any) -> int:
    """Answer DMA_HEAP_IOCTL_ALLOC with memory; DMA_BUF_SET_NAME needs no answer."""
    if request == ord("H") << 8:
        argument.fd = os.memfd_create("buffer", os.MFD_CLOEXEC)
        os.ftruncate(argument.fd, argument.len)
    return 0


def _pipes() -> set[str]:
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(fd.readlink()))
    return {link for link in found if link.startswith("pipe:")}
