"""Photographs from a folder (or a single one), sorted by name; new ones are included as they arrive.

With ``watch`` it is a drop folder: each file is given once, in the order of arrival, whatever restarts.
"""

from __future__ import annotations

import bisect
import itertools
import logging
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
    jpeg,
    photograph_names,
    photographs,
    sound_names,
)
from edged.sources.decoding import mark_of
from edged.sources.folder_listing import SETTLE_NS, Listing
from edged.sources.progress import Place
from edged.sources.replay import Spaced
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.sources.replay import RecordedTime

log = logging.getLogger(__name__)

PAUSE_S = 0.5  # between two photographs that a person looks at
_CACHE_BYTES = 16 * 1024 * 1024  # so that a small folder in a loop is decoded once
_POLL_S = 0.1
_LOOKED = 20  # files of a drop folder that are looked at again in one poll: they may have another content

_Stamp = tuple[int, int]  # modification time in ns, size in bytes

ALSO_CALLED = ("photos", "photographs", "images", "pictures", "directory")


class Config(SourceConfig):
    """The keys of ``kind: folder``."""

    numbered: ClassVar[bool] = True

    kind: Literal["folder"] = Field(default="folder", description="the driver: folder")
    path: Path = Field(description=f"a folder of photographs, or one photograph ({photograph_names.FORMATS})")
    recursive: bool = Field(default=False, description="true: the photographs in its sub-folders, too")
    watch: bool = Field(
        default=False,
        description="true: a drop folder, of which each new file is given once, also over restarts; loop has "
        "no meaning then",
    )
    loop: bool = Field(
        default=True, description="true: start again after the last photograph; false: stop after it"
    )

    @property
    def given_once(self) -> str:
        """A drop folder's files are judged once."""
        return "watch" if self.watch else ""


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the photographs where the text is the path of a folder or of a photograph."""
    path = Path(text)
    if not (path.is_dir() or (path.is_file() and photograph_names.is_photograph(path.name))):
        return None
    pause_s = PAUSE_S if viewing.live else 0
    keys = {"path": str(path.absolute()), "loop": viewing.repeat, "interval_s": pause_s}
    if path.is_dir():
        keys["recursive"] = not Listing(path).holds_any()
        if keys["recursive"] and sound_names.listed(path):
            return None
    return Offer(keys, text, text)


def needs(config: Config) -> Needs:
    """Return the folder, or the photograph."""
    return Needs(files=(str(config.path),))


def create(config: Config, hint: Hint) -> Source:
    """Return the source; photographs that are much larger than the hint are decoded smaller."""
    return Folder(config, hint)


def recorded(config: Config, hint: Hint, time: RecordedTime) -> Source:
    """Return the photographs as if they had been taken an interval apart, in their own time."""
    return Spaced(Folder(config, hint), config.interval_s, time)


class _LeftOut(Exception):  # noqa: N818 - it is not an error of ours
    """A photograph cannot be read; its text tells why."""


class _Unsettled(_LeftOut):
    """A photograph cannot be read, and may still be being written."""


class Folder:
    """Gives one photograph at a time, and leaves none out."""

    live = False

    def __init__(
        self,
        config: Config,
        hint: Hint = Hint(),  # noqa: B008 - it is frozen
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._path = config.path
        self._loop = config.loop and not config.watch
        self._watch = config.watch
        self._progress = hint.progress
        self._recursive = config.recursive
        self._shrink = jpeg.Shrink(config, hint)
        self._decoding = hint.decoding
        self._monotonic = monotonic
        self._sleep = sleep
        self._listing: Listing | None = None
        self._opened = False
        self._names: list[str] = []
        self._cursor = ""  # the name of the last photograph
        self._stamp: _Stamp = (0, 0)  # of the file that was looked at last
        self._place = Place(0)  # of the last photograph
        self._given: dict[str, _Stamp] = {}  # of a drop folder
        self._looked: Iterator[str] = iter(())  # those of them that are looked at again
        self._number = 0
        self._bad: dict[str, tuple[_Stamp, str]] = {}  # with the reason
        self._cache: dict[str, tuple[_Stamp, photographs.Photograph]] = {}
        self._cached_bytes = 0

    def open(self) -> None:
        """Check that the path can be read."""
        import cv2  # noqa: F401 - the first read should not pay for it

        self._cursor, self._number = "", self._progress.number
        try:
            # Without a listing, it is a single photograph.
            self._listing = None if self._path.is_file() else Listing(self._path, recursive=self._recursive)
        except OSError as error:
            raise self._gone(error) from error
        self._list()
        self._leave_out_fatal()
        self._resume()
        self._opened = True

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next photograph, or wait for one; None: a drop folder has no new one."""
        if not self._opened:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        deadline = self._monotonic() + timeout_s
        while True:
            photograph, pending = self._next_new() if self._watch else self._next()
            if photograph is not None:
                return self._frame(photograph)
            if self._watch:
                if not self._pause(deadline):
                    return None
                continue
            if not pending and not self._number and self._reason():
                raise Unavailable(Reason.ABSENT, self._nothing())  # waiting would not help
            if not self._loop and not pending:
                raise Unavailable(
                    Reason.ENDED, f"{self._path}: that was the last of {self._number} photographs"
                )
            if not self._pause(deadline):
                raise Unavailable(Reason.TIMEOUT, self._nothing())

    def _frame(self, photograph: photographs.Photograph) -> Frame:
        self._number += 1
        return Frame(
            photograph.pixels,
            clock.wall(),
            number=self._number - 1,
            shrink=photograph.shrink,
            place=self._place,
            name=self._cursor,
        )

    def _pause(self, deadline: float) -> bool:
        """Wait a little; return False where there is no time left."""
        left = deadline - self._monotonic()
        if left > 0:
            self._sleep(min(_POLL_S, left))
        return left > 0

    def close(self) -> None:
        """Forget the photographs."""
        self._opened = False
        self._cache.clear()
        self._cached_bytes = 0

    def _nothing(self) -> str:
        """Return a sentence that tells why there is no photograph."""
        return self._reason() or f"there is no photograph in {self._path} ({photograph_names.FORMATS})"

    def _reason(self) -> str:
        """Return a sentence about files that are left out, or that a person takes for photographs."""
        if self._bad:
            name, (_, why) = next(iter(self._bad.items()))
            if self._listing is None:
                return f"{self._path} cannot be read: {why}"
            more = f"; {len(self._bad) - 1} more are left out" if len(self._bad) > 1 else ""
            return f"no photograph in {self._path} can be read: {name} is left out: {why}{more}"
        remark = self._listing.remark() if self._listing is not None else ""
        return f"there is no photograph in {self._path} ({remark})" if remark else ""

    def _next(self) -> tuple[photographs.Photograph | None, bool]:
        """Return the next readable photograph, and whether one was skipped that is still being written."""
        self._list()
        first = bisect.bisect_right(self._names, self._cursor)
        after = self._names[first:]
        pending = False
        for name in after + self._names[:first] if self._loop else after:
            try:
                photograph = self._load(name)
            except _Unsettled:
                pending = True
                if not self._loop:
                    break  # to keep the order, those after it wait
            except _LeftOut:
                continue
            else:
                self._cursor, self._place = name, Place(mark_of(name, *self._stamp))
                return photograph, False
        return None, pending

    def _next_new(self) -> tuple[photographs.Photograph | None, bool]:
        """Return the file that came first of those that were not given yet."""
        self._list()
        for changed_ns, name, stamp in sorted(self._new()):
            try:
                photograph = self._load(name)
            except _LeftOut:
                continue
            self._given[name] = stamp
            self._place = Place(mark_of(name, *stamp), changed_ns / 1e9, each=True)
            return photograph, False
        return None, False

    def _new(self) -> Iterator[tuple[int, str, _Stamp]]:
        """Yield each file that was not given yet, or not as it is now: when it was changed, name, stamp."""
        again = set(itertools.islice(self._looked, _LOOKED))
        if len(again) < _LOOKED:
            self._looked = iter(tuple(self._given))
        for name in self._names:
            given = self._given.get(name)
            if given is not None and name not in again:
                continue
            try:
                stat = self._file(name).stat()
            except OSError:
                continue
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp == given:
                continue
            if self._progress.has(mark_of(name, *stamp), stat.st_ctime_ns / 1e9):
                self._given[name] = stamp
            else:
                yield stat.st_ctime_ns, name, stamp

    def _resume(self) -> None:
        """Go on behind the photograph that was judged last, where it is still there."""
        last = self._progress.last
        if self._watch or not last or self._listing is None:
            return
        for name in self._names:
            try:
                stat = self._file(name).stat()
            except OSError:
                continue
            if mark_of(name, stat.st_mtime_ns, stat.st_size) == last:
                self._cursor = name
                return

    def _load(self, name: str) -> photographs.Photograph:
        """Return the photograph. Raises ``_LeftOut`` or ``_Unsettled``."""
        path = self._file(name)
        try:
            stat = path.stat()
        except OSError as error:  # removed since it was listed
            if self._listing is not None:
                self._listing.again()
            raise _LeftOut("it is gone") from error
        stamp = (stat.st_mtime_ns, stat.st_size)
        self._stamp = stamp
        cached = self._cache.get(name)
        if cached is not None and cached[0] == stamp:
            return cached[1]
        bad = self._bad.get(name)
        if bad is not None and bad[0] == stamp:
            raise _LeftOut(bad[1])
        try:
            photograph = photographs.read(
                path, self._shrink, lambda: self._decoding.begins(mark_of(name, *stamp))
            )
        except OSError as error:
            incomplete = isinstance(error, photographs.Incomplete)
            if incomplete and abs(time.time_ns() - stat.st_mtime_ns) < SETTLE_NS:
                raise _Unsettled(str(error.strerror)) from error
            self._bad[name] = stamp, str(error.strerror)
            log.warning("%s is left out: %s", path, error.strerror)
            raise _LeftOut(str(error.strerror)) from error
        finally:
            self._decoding.ends()
        self._bad.pop(name, None)
        self._keep(name, stamp, photograph)
        return photograph

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
                self._bad[name] = stamp, "decoding it ended an earlier worker"
                found.append(str(self._file(name)))
        self._decoding.leave_out(found)

    def _file(self, name: str) -> Path:
        return self._path if self._listing is None else self._path / name

    def _keep(self, name: str, stamp: _Stamp, photograph: photographs.Photograph) -> None:
        """Keep a decoded picture for the next round, while there is room."""
        old = self._cache.pop(name, None)
        self._cached_bytes -= old[1].pixels.nbytes if old else 0
        pixels = photograph.pixels
        if not self._loop or self._cached_bytes + pixels.nbytes > _CACHE_BYTES:
            return
        pixels.flags.writeable = False  # it will be returned again
        self._cache[name] = (stamp, photograph)
        self._cached_bytes += pixels.nbytes

    def _list(self) -> None:
        """List the folder when it has changed: one stat where it has not."""
        try:
            if self._listing is None:
                self._path.stat()  # raises where it is gone
                self._names = [self._path.name]
                return
            if not self._listing.refresh():
                return
        except OSError as error:
            raise self._gone(error) from error
        self._names = self._listing.names
        self._forget(set(self._names))

    def _forget(self, present: set[str]) -> None:
        """Drop what was kept about files that were removed."""
        self._given = {name: stamp for name, stamp in self._given.items() if name in present}
        self._bad = {name: bad for name, bad in self._bad.items() if name in present}
        self._cache = {name: kept for name, kept in self._cache.items() if name in present}
        self._cached_bytes = sum(kept.pixels.nbytes for _, kept in self._cache.values())

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
