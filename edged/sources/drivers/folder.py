"""Photographs from a folder (or a single one), sorted by name; new ones are included as they arrive."""

from __future__ import annotations

import bisect
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sources import (
    Frame,
    Hint,
    Offer,
    Source,
    SourceConfig,
    Viewing,
    photograph_names,
    photographs,
)
from edged.sources.decoding import Decoding, mark_of
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

PAUSE_S = 0.5  # between two photographs that a person looks at
_CACHE_BYTES = 16 * 1024 * 1024  # so that a small folder in a loop is decoded once
_SETTLE_NS = 2 * 10**9  # a file that changed less than this ago may still be written
_POLL_S = 0.1
_FORMATS = "jpg, jpeg, png, bmp, webp, tif"

_Stamp = tuple[int, int]  # modification time in ns, size in bytes


class Config(SourceConfig):
    """The keys of ``kind: folder``."""

    numbered: ClassVar[bool] = True

    kind: Literal["folder"] = Field(default="folder", description="the driver: folder")
    path: Path = Field(description=f"a folder of photographs, or one photograph ({_FORMATS})")
    loop: bool = Field(
        default=True, description="true: start again after the last photograph; false: stop after it"
    )


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the photographs where the text is the path of a folder or of a photograph."""
    path = Path(text)
    if not (path.is_dir() or (path.is_file() and photograph_names.is_photograph(path.name))):
        return None
    pause_s = PAUSE_S if viewing.live else 0
    keys = {"path": str(path.absolute()), "loop": viewing.repeat, "interval_s": pause_s}
    return Offer(keys, text, text)


def needs(config: Config) -> Needs:
    """Return the folder, or the photograph."""
    return Needs(files=(str(config.path),))


def create(config: Config, hint: Hint) -> Source:
    """Return the source; photographs come in their own size."""
    return Folder(config, hint.decoding)


class Folder:
    """Gives one photograph at a time, and leaves none out."""

    live = False

    def __init__(
        self,
        config: Config,
        decoding: Decoding | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = config.path
        self._loop = config.loop
        self._decoding = decoding or Decoding()
        self._monotonic = monotonic
        self._sleep = sleep
        self._opened = False
        self._one = False  # a single photograph
        self._names: list[str] = []
        self._listed_at = -1  # modification time of the folder when it was listed, in ns; -1: list again
        self._cursor = ""  # the name of the last photograph
        self._number = 0
        self._bad: dict[str, _Stamp] = {}
        self._cache: dict[str, tuple[_Stamp, NDArray[np.uint8]]] = {}
        self._cached_bytes = 0

    def open(self) -> None:
        """Check that the path can be read."""
        import cv2  # noqa: F401 - the first read should not pay for it

        self._listed_at, self._cursor, self._number = -1, "", 0
        try:
            self._one = self._path.is_file()
        except OSError as error:
            raise self._gone(error) from error
        self._list()
        self._leave_out_fatal()
        self._opened = True

    def read(self, timeout_s: float) -> Frame:
        """Return the next photograph by name; waits for one where there is none."""
        if not self._opened:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        deadline = self._monotonic() + timeout_s
        while True:
            pixels, pending = self._next()
            if pixels is not None:
                self._number += 1
                return Frame(pixels, clock.wall(), number=self._number - 1)
            if not self._loop and not pending:
                raise Unavailable(
                    Reason.ENDED, f"{self._path}: that was the last of {self._number} photographs"
                )
            left = deadline - self._monotonic()
            if left <= 0:
                raise Unavailable(Reason.TIMEOUT, f"there is no photograph in {self._path} ({_FORMATS})")
            self._sleep(min(_POLL_S, left))

    def close(self) -> None:
        """Forget the photographs."""
        self._opened = False
        self._cache.clear()
        self._cached_bytes = 0

    def _next(self) -> tuple[NDArray[np.uint8] | None, bool]:
        """Return the next readable photograph, and whether one was skipped that is still being written."""
        self._list()
        first = bisect.bisect_right(self._names, self._cursor)
        after = self._names[first:]
        pending = False
        for name in after + self._names[:first] if self._loop else after:
            pixels, unsettled = self._load(name)
            if pixels is not None:
                self._cursor = name
                return pixels, False
            pending = pending or unsettled
            if unsettled and not self._loop:
                break  # to keep the order, those after it wait
        return None, pending

    def _load(self, name: str) -> tuple[NDArray[np.uint8] | None, bool]:
        """Return the photograph, or None and whether to try it again soon."""
        path = self._file(name)
        try:
            stat = path.stat()
        except OSError:  # removed since it was listed
            self._listed_at = -1
            return None, False
        stamp = (stat.st_mtime_ns, stat.st_size)
        cached = self._cache.get(name)
        if cached is not None and cached[0] == stamp:
            return cached[1], False
        if self._bad.get(name) == stamp:
            return None, False
        problem = "it is not a complete picture"
        try:
            pixels = photographs.read(path, lambda: self._decoding.begins(mark_of(name, *stamp)))
        except OSError as error:
            pixels, problem = None, str(error.strerror)
        self._decoding.ends()
        if pixels is not None:
            self._bad.pop(name, None)
            self._keep(name, stamp, pixels)
            return pixels, False
        if abs(time.time_ns() - stat.st_mtime_ns) < _SETTLE_NS:
            return None, True
        self._bad[name] = stamp
        log.warning("%s is left out: %s", path, problem)
        return None, False

    def _leave_out_fatal(self) -> None:
        """Leave out what ended an earlier worker, until it is replaced, and name it."""
        if not self._decoding.fatal:
            return
        found = []
        for name in self._names:
            try:
                stat = self._file(name).stat()
            except OSError:
                continue
            stamp = (stat.st_mtime_ns, stat.st_size)
            if mark_of(name, *stamp) in self._decoding.fatal:
                self._bad[name] = stamp
                found.append(str(self._file(name)))
        self._decoding.leave_out(found)

    def _file(self, name: str) -> Path:
        return self._path if self._one else self._path / name

    def _keep(self, name: str, stamp: _Stamp, pixels: NDArray[np.uint8]) -> None:
        """Keep a decoded picture for the next round, while there is room."""
        old = self._cache.pop(name, None)
        self._cached_bytes -= old[1].nbytes if old else 0
        if not self._loop or self._cached_bytes + pixels.nbytes > _CACHE_BYTES:
            return
        pixels.flags.writeable = False  # it will be returned again
        self._cache[name] = (stamp, pixels)
        self._cached_bytes += pixels.nbytes

    def _list(self) -> None:
        """List the folder when it has changed: one stat where it has not."""
        try:
            if self._one:
                self._path.stat()  # raises where it is gone
                self._names = [self._path.name]
                return
            changed = self._path.stat().st_mtime_ns
            if changed == self._listed_at:
                return
            self._names = sorted(filter(photograph_names.is_photograph, os.listdir(self._path)))  # noqa: PTH208 - only names
        except OSError as error:
            raise self._gone(error) from error
        self._forget(set(self._names))
        # Two changes within one tick of the file system's clock look like one: rely only on an old timestamp.
        settled = time.time_ns() - changed > _SETTLE_NS
        self._listed_at = changed if settled else -1

    def _forget(self, present: set[str]) -> None:
        """Drop what was kept about files that were removed."""
        self._bad = {name: stamp for name, stamp in self._bad.items() if name in present}
        self._cache = {name: kept for name, kept in self._cache.items() if name in present}
        self._cached_bytes = sum(pixels.nbytes for _, pixels in self._cache.values())

    def _gone(self, error: OSError) -> Unavailable:
        if isinstance(error, PermissionError):
            return Unavailable(
                Reason.DENIED, f"{self._path} cannot be read; give the user of edged read access"
            )
        if isinstance(error, NotADirectoryError):
            return Unavailable(Reason.ABSENT, f"{self._path} is neither a folder nor a photograph")
        if isinstance(error, FileNotFoundError):
            reason = Reason.LOST if self._number else Reason.ABSENT
            return Unavailable(reason, f"there is no {self._path}; create it or correct `path`")
        return Unavailable(Reason.LOST, f"{self._path}: {error.strerror}")
