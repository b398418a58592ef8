"""Reads devices in sysfs. A device's folder is found by the device's name and then held open.

A chip that is removed and added again gets another number, and another chip may get its old one. With the
folder held open by a descriptor, every read fails once the device is gone, whatever is now at the same path.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from edged.errors import Reason, Unavailable
from edged.sensors import Found, Quality, Reading
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

T = TypeVar("T")
_GONE = frozenset({errno.ENOENT, errno.ENODEV, errno.ENOTDIR, errno.EBADF})
_MAX_BYTES = 4096  # of an attribute; sysfs returns at most a page


class NotMeasured(Exception):  # noqa: N818 - it is an answer of the chip, which the driver turns into a bad reading
    """The chip is there but did not answer this time; the message is the kernel's."""


class Folder:
    """One device's folder, held open.

    Args:
        path: the folder's path.
        what: the device's name in messages.
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
        """Return the content of an attribute.

        Raises:
            NotMeasured: the chip did not answer this time.
            Unavailable: the device went away, or reading it is not permitted.
        """
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._descriptor)
        except OSError as error:
            raise self._explained(error, name) from error
        try:
            return os.read(descriptor, _MAX_BYTES).decode("utf-8", "replace").strip()
        except OSError as error:
            if error.errno in _GONE:
                raise self._explained(error, name) from error
            raise NotMeasured((error.strerror or str(error)).lower()) from error
        finally:
            os.close(descriptor)

    def number(self, name: str) -> float:
        """Return the number in an attribute. Raises the same errors as :meth:`text`."""
        text = self.text(name)
        try:
            return float(text)
        except ValueError:
            raise NotMeasured(f"{name} is '{text[:40]}', which is not a number") from None

    def has(self, name: str) -> bool:
        """Return whether there is an attribute of that name."""
        try:
            os.stat(name, dir_fd=self._descriptor)
        except OSError:
            return False
        return True

    def names(self) -> list[str]:
        """Return the names of the attributes."""
        try:
            return sorted(os.listdir(self._descriptor))  # noqa: PTH208 - the folder may have moved
        except OSError:
            return []

    def close(self) -> None:
        """Close the folder; may be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _explained(self, error: OSError, name: str) -> Unavailable:
        if error.errno in (errno.EACCES, errno.EPERM):
            return Unavailable(Reason.DENIED, f"no permission to read {self.path / name}")
        if error.errno in _GONE:
            return Unavailable(Reason.LOST, f"{self._what} is gone, or has no {name}")
        return Unavailable(Reason.LOST, f"{self._what}: {error.strerror}")


def names(parent: Path) -> set[str]:
    """Return the names of the devices in a folder of them."""
    found = set()
    for path in parent.glob("*/name"):
        with contextlib.suppress(OSError):
            found.add(path.read_text("utf-8", "replace").strip())
    return found


def folders(parent: Path, pattern: str) -> Iterator[Folder]:
    """Give each device's folder, open while it is looked at."""
    for path in sorted(parent.glob(pattern)):
        with contextlib.suppress(Unavailable, NotMeasured):
            folder = Folder(path, path.name)
            try:
                yield folder
            finally:
                folder.close()


class Listed(NamedTuple):
    """A device that was found.

    Attributes:
        name: its name.
        place: what tells it from another one of its name.
        channels: its channels.
    """

    name: str
    place: str
    channels: Sequence[str]


def each_channel(kind: str, devices: Sequence[Listed], *, name: str, place: str) -> list[Found]:
    """Return each channel of each device as a sensor.

    Args:
        kind: the driver.
        devices: the devices.
        name: the driver's key for a device's name, and …
        place: … its key for the place, which is left out where the name is enough.
    """
    names = [device.name for device in devices]
    return [
        Found(
            f"{device.name}-{channel}",
            {
                "kind": kind,
                name: device.name,
                "channel": channel,
                **({place: device.place} if names.count(device.name) > 1 else {}),
            },
        )
        for device in devices
        for channel in device.channels
    ]


class Device:
    """The one device that matches, held open from ``open`` to ``close``.

    Args:
        parent: a folder such as ``/sys/class/hwmon``.
        pattern: the glob pattern of the devices' folders.
        what: the device's name in messages.
        matches: returns whether a folder is that of the device.
        known: returns the name of a folder's device, to list the others in an error.
        key: the key of the configuration that chooses between devices that match, and …
        choice: … returns its value for a folder.
        hint: returns a sentence about the names of the other devices, to be added to an error; may be empty.
    """

    def __init__(
        self,
        parent: Path,
        pattern: str,
        what: str,
        matches: Callable[[Folder], bool],
        known: Callable[[Folder], str] = lambda folder: folder.text("name"),
        *,
        key: str,
        choice: Callable[[Folder], str],
        hint: Callable[[Sequence[str]], str] = lambda _: "",
    ) -> None:
        self._parent = parent
        self._pattern = pattern
        self._what = what
        self._matches = matches
        self._known = known
        self._key = key
        self._choice = choice
        self._hint = hint
        self._folder: Folder | None = None

    def open(self) -> Folder:
        """Find the device's folder and hold it open.

        Raises:
            Unavailable: ABSENT: no device matches, or several do; the message lists them.
        """
        self.close()
        found, others = self._search()
        if len(found) == 1:
            self._folder = found[0]
            return found[0]
        choices = ", ".join(f"{self._key}: {self._choice(folder)}" for folder in found)
        for folder in found:
            folder.close()
        if found:
            message = f"{len(found)} devices match {self._what}; choose one of {choices}"
            raise Unavailable(Reason.ABSENT, message)
        names = sorted({name for name in others if name})
        message = f"there is no {self._what} in {self._parent}; available: {', '.join(names) or 'none'}"
        raise Unavailable(Reason.ABSENT, f"{message}{self._hint(names)}")

    def read(self, unit: str, measure: Callable[[Folder], float]) -> Sequence[Reading]:
        """Return one reading in this unit; it is bad where the chip did not answer.

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
        """Close the device's folder; may be called twice."""
        if self._folder is not None:
            self._folder.close()
            self._folder = None

    def _search(self) -> tuple[list[Folder], list[str]]:
        """Return the open folders that match, and the names of the other devices."""
        found: list[Folder] = []
        others: list[str] = []
        for path in sorted(self._parent.glob(self._pattern)):
            try:
                folder = Folder(path, self._what)
            except Unavailable:  # the device is being removed
                continue
            if _answer(self._matches, folder, False):
                found.append(folder)
            else:
                others.append(_answer(self._known, folder, ""))
                folder.close()
        return found, others


def _answer(question: Callable[[Folder], T], folder: Folder, default: T) -> T:
    try:
        return question(folder)
    except (Unavailable, NotMeasured):
        return default
