"""Opens an Edge TPU, and explains why one cannot be opened.

``load_delegate`` raises OSError where the library is absent or not a library, AttributeError where it is not
a delegate, ValueError where there is no device. It may also abort, crash or hang for ever: the supervisor
deals with that.

A process that opens an Edge TPU on USB resets it, under whatever process has it open already, and one that
may not open it tries for 25 s. So both are found out before the library is used. And the library's own
numbers are not those of ports::

    edged      usb:0 = port 1-1      usb:1 = port 1-2      in the order of the ports
    libedgetpu usb:0 = port 1-2      usb:1 = port 1-1      those without firmware first, then by libusb's list
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.inference import external
from edged.inference import runtime as runtimes
from edged.models.libedgetpu import RELEASES
from edged.system import board, permission

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from edged.system.board import CoralStick

log = logging.getLogger(__name__)

UDEV_S = 3.0  # until a device that has come has its group
TURN_S = 25.0  # for other processes to open theirs, one after the other
_POLL_S = 0.2
_USBDEVFS_RESET = 0x5514  # _IO('U', 20) of linux/usbdevice_fs.h

_locked: dict[Path, int] = {}  # descriptors of the nodes that this process holds, until its end


def look_for(library: str) -> None:
    """Load the Edge TPU runtime and check that it is one; opens no device.

    Raises:
        Unavailable: the library is absent or something else; the message says what to do.
    """
    external.look_for(library, "an Edge TPU runtime", f"install the build for this runtime: {RELEASES}")


def open_delegate(
    runtime: str,
    library: str,
    device: str,
    options: Mapping[str, str] | None = None,
    *,
    reset: bool = False,
    root: Path = Path("/"),
) -> Any:
    """Open the accelerator; one on USB is locked until the process ends.

    Args:
        runtime: ``auto``, ``litert`` or ``tflite-runtime``; the delegate works with this one only.
        library: name or path of the Edge TPU runtime.
        device: ``usb``, ``pci``, ``usb:0``, ``usb@2-1`` …
        options: further options of the library, such as ``Performance``.
        reset: reset it first, because it hung or crashed.
        root: the root of the file system; another one in tests.

    Raises:
        DeviceBusy: another process holds it.
        Unavailable: it cannot be used now; the message says why and what to do.
        DriverError: the runtime is missing.
    """
    # Checked first, because the runtimes complain in a destructor about a library that is not a delegate.
    look_for(library)
    if device.startswith("pci"):
        return _load(runtime, library, device, options)
    with _turn(root):
        port = _port_of(device, board.coral_sticks(root), cards=bool(list(root.glob("dev/apex_*"))))
        if port is None:  # the library finds it, or none
            return _load(runtime, library, device, options)
        before = len(_locked)
        stick = _hold(port, root, patience_s=UDEV_S)
        if reset and stick is not None and len(_locked) > before:  # no other pipeline of this process has it
            _reset(stick, root)
        # Looked at again: waiting and resetting take their time, in which sticks come, go and lose firmware.
        ports = [each.port for each in as_the_library_lists(board.coral_sticks(root))]
        if port not in ports:
            raise Unavailable(Reason.ABSENT, f"there is no Edge TPU at '{device}'; it was on port {port}")
        delegate = _load(runtime, library, f"usb:{ports.index(port)}", options, asked=device)
        stick = _hold(port, root, patience_s=0.0)  # once it has its firmware it has another node
        if stick is not None and not _is_open(stick.node):
            log.warning("%s opened another Edge TPU than that on port %s", library, port)
        return delegate


def as_the_library_lists(sticks: Sequence[CoralStick]) -> list[CoralStick]:
    """Return the sticks in the order in which libedgetpu counts them.

    Its beagle_usb_driver_provider.cc lists those without firmware first; libusb adds each device that udev
    lists, sorted by its folder, at the front of its own list.
    """
    listed = sorted(sticks, key=lambda stick: stick.place, reverse=True)
    return sorted(listed, key=lambda stick: stick.ready)


def _load(runtime: str, library: str, device: str, options: Mapping[str, str] | None, asked: str = "") -> Any:
    try:
        return runtimes.load_delegate(runtime, library, {**(options or {}), "device": device})
    except (OSError, AttributeError, ValueError) as error:
        what = f"there is no Edge TPU at '{asked or device}'"
        if device.startswith("pci"):
            what += ", or another program uses it, or this user may not open it"
        raise Unavailable(Reason.ABSENT, what) from error


def _port_of(device: str, sticks: Sequence[CoralStick], *, cards: bool) -> str | None:
    """Return the port of a device; None where only the library can tell, or no stick is there.

    Args:
        device: as it is configured.
        sticks: those that are there, in the order of their ports.
        cards: whether there are Edge TPUs on PCIe, which ``:N`` counts too.

    Raises:
        Unavailable: there are others, but not this one.
    """
    kind, at, port = device.partition("@")
    if at and not any(stick.port == port for stick in sticks):
        raise Unavailable(Reason.ABSENT, f"there is no Edge TPU at '{device}'{_others(sticks)}")
    if at:
        return port
    if not sticks or (cards and not kind.startswith("usb")):
        return None
    number = int(device.partition(":")[2] or 0)
    if number >= len(sticks):
        raise Unavailable(Reason.ABSENT, f"there is no Edge TPU at '{device}'{_others(sticks)}")
    return sticks[number].port


def _others(sticks: Sequence[CoralStick]) -> str:
    ports = ", ".join(stick.port for stick in sticks)
    return f"; there is one on port {ports}" if ports else ""


@contextmanager
def _turn(root: Path) -> Iterator[None]:
    """Open one stick at a time: the numbers of all change while one gets its firmware.

    Raises:
        DeviceBusy: another process does not finish.
    """
    try:
        bus = os.open(root / "dev/bus/usb", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # no USB here
        yield
        return
    try:
        until = time.monotonic() + TURN_S
        while not _lock(bus):
            if time.monotonic() > until:
                raise DeviceBusy("another process has been opening an Edge TPU for too long")
            time.sleep(_POLL_S)
        yield
    finally:
        os.close(bus)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _hold(port: str, root: Path, *, patience_s: float) -> CoralStick | None:
    """Lock the Edge TPU on a port for the life of this process; None where it is gone.

    Raises:
        DeviceBusy: another process holds it.
        Unavailable: this process may not open it.
    """
    stick = next((stick for stick in board.coral_sticks(root) if stick.port == port), None)
    if stick is None or stick.node in _locked:
        return stick
    descriptor = _open(stick.node, patience_s)
    if descriptor is None:
        return None
    if not _lock(descriptor):
        os.close(descriptor)
        raise DeviceBusy(f"another process uses the Edge TPU {stick.node}")
    _locked[stick.node] = descriptor
    return stick


def _reset(stick: CoralStick, root: Path) -> None:
    """Reset a stick as unplugging does, without a hand; one that lost its firmware comes back as another."""
    try:
        fcntl.ioctl(_locked[stick.node], _USBDEVFS_RESET)
    except OSError as error:
        log.warning("the Edge TPU on port %s cannot be reset: %s", stick.port, error.strerror)
    else:
        log.info("the Edge TPU on port %s was reset", stick.port)
        until = time.monotonic() + UDEV_S
        while time.monotonic() < until and stick.port not in {s.port for s in board.coral_sticks(root)}:
            time.sleep(_POLL_S)


def _is_open(node: Path) -> bool:
    """Return whether the library has a node open, besides the descriptor that locks it."""
    own = _locked.get(node)
    for link in Path("/proc/self/fd").iterdir():
        try:
            if int(link.name) != own and link.readlink() == node:
                return True
        except OSError:  # the descriptor of this very listing
            continue
    return False


def _open(node: Path, patience_s: float) -> int | None:
    """Open a node; None where it has gone meanwhile. Raises ``Unavailable`` where that is not permitted."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return os.open(node, os.O_RDWR | os.O_CLOEXEC)
        except PermissionError as error:
            if time.monotonic() < until and error.errno == errno.EACCES:
                time.sleep(_POLL_S)
                continue
            raise permission.denied(error.errno, f"{node}", "plugdev") from error
        except OSError:
            return None
