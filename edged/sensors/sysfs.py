"""Reads sysfs: folders that are found by what their device is called, and held so that none is mistaken.

A chip that goes and comes back gets another number, and another chip may get its old one. So a folder is held
by a descriptor: once its device is gone every read fails, whatever is there now under the same path.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, TypeVar

from edged.errors import Reason, Unavailable
from edged.sensors import Quality, Reading
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

T = TypeVar("T")
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EBADF})
_MOST = 4096  # bytes; sysfs gives no more than a page


class NotMeasured(Exception):  # noqa: N818 - it is an answer of the chip, which the driver turns into a bad reading
    """The chip is there but did not answer this time; the text says how the kernel put it."""


class Folder:
    """One device's folder, held open.

    Args:
        path: of the folder.
        what: the device, for messages.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._descriptor = -1
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._explained(error, path.name) from error

    def text(self, name: str) -> str:
        """Return what an attribute says.

        Raises:
            NotMeasured: the chip did not answer; it may the next time.
            Unavailable: the device went away, or may not be read.
        """
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError as error:
            raise self._explained(error, name) from error
        try:
            return os.read(descriptor, _MOST).decode("utf-8", "replace").strip()
        except OSError as error:
            if error.errno in _GONE:
                raise self._explained(error, name) from error
            raise NotMeasured((error.strerror or str(error)).lower()) from error
        finally:
            os.close(descriptor)

    def number(self, name: str) -> float:
        """Return the number that an attribute says. Raises like :meth:`text`."""
        text = self.text(name)
        try:
            return float(text)
        except ValueError:
            raise NotMeasured(f"{name} is '{text[:40]}', which is no number") from None

    def has(self, name: str) -> bool:
        """Whether there is an attribute of that name."""
        try:
            os.stat(name, dir_fd=self._descriptor)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Let go of the folder; harmless when called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _explained(self, error: OSError, name: str) -> Unavailable:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Unavailable(Reason.DENIED, f"{self.path / name} may not be read")
        if error.errno in _GONE:
            return Unavailable(Reason.LOST, f"{self._what} is gone, or has no {name}")
        return Unavailable(Reason.LOST, f"{self._what}: {error.strerror}")


class Device:
    """What a driver reads: the only device that is called so, from ``open`` to ``close``.

    Args:
        parent: such as ``/sys/class/hwmon``.
        pattern: of the folders' names.
        what: the device, for messages.
        matches: whether a folder is it.
        known: what a folder's device is called, to say what there is instead.
    """

    def __init__(
        self,
        parent: Path,
        pattern: str,
        what: str,
        matches: Callable[[Folder], bool],
        known: Callable[[Folder], str] = lambda folder: folder.text("name"),
    ) -> None:
        self._parent = parent
        self._pattern = pattern
        self._what = what
        self._matches = matches
        self._known = known
        self._folder: Folder | None = None

    def open(self) -> Folder:
        """Find its folder and hold it.

        Raises:
            Unavailable: ABSENT: there is none, or more than one, and what there is.
        """
        self.close()
        found, others = self._look()
        if len(found) == 1:
            self._folder = found[0]
            return found[0]
        named = ", ".join(str(folder.path.resolve()) for folder in found)
        for folder in found:
            folder.close()
        if found:
            raise Unavailable(
                Reason.ABSENT, f"there are {len(found)} of {self._what}; say which one: {named}"
            )
        there = ", ".join(sorted({name for name in others if name})) or "nothing"
        raise Unavailable(Reason.ABSENT, f"there is no {self._what} under {self._parent}; there is {there}")

    def read(self, unit: str, measure: Callable[[Folder], float]) -> Sequence[Reading]:
        """Measure now, one channel in this unit; where the chip did not answer, the reading is bad.

        Raises:
            Unavailable: the device went away, or was not opened.
        """
        if self._folder is None:
            raise Unavailable(Reason.LOST, f"{self._what} is not open")
        try:
            value = measure(self._folder)
        except NotMeasured as error:
            return [Reading("", None, unit, clock.wall(), Quality.BAD, str(error))]
        return [Reading("", value, unit, clock.wall())]

    def close(self) -> None:
        """Let go of it; harmless when called twice."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _look(self) -> tuple[list[Folder], list[str]]:
        """Return the folders that match, open, and what the others are called."""
        found: list[Folder] = []
        others: list[str] = []
        for path in sorted(self._parent.glob(self._pattern)):
            try:
                folder = Folder(path, self._what)
            except Unavailable:  # it goes just now
                continue
            if _safely(self._matches, folder, False):
                found.append(folder)
            else:
                others.append(_safely(self._known, folder, ""))
                folder.close()
        return found, others


def _safely(ask: Callable[[Folder], T], folder: Folder, otherwise: T) -> T:
    try:
        return ask(folder)
    except (Unavailable, NotMeasured):
        return otherwise
