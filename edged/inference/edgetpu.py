"""Opens an Edge TPU, and explains why one cannot be opened.

``load_delegate`` raises OSError where the library is absent or not a library, AttributeError where it is not
a delegate, ValueError where there is no device. It may also abort, crash or hang for ever: the supervisor
deals with that.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.inference import external
from edged.inference import runtime as runtimes
from edged.models.runtimes import LIBEDGETPU
from edged.system import board

if TYPE_CHECKING:
    from collections.abc import Mapping

UDEV_S = 3.0  # until a device that has come has its group
_POLL_S = 0.5

_locked: dict[Path, int] = {}  # descriptors of the nodes that this process holds, until its end


def look_for(library: str) -> None:
    """Load the Edge TPU runtime and check that it is one; opens no device.

    Raises:
        Unavailable: the library is absent or something else; the message says what to do.
    """
    external.look_for(library, "an Edge TPU runtime", f"install the build for this runtime: {LIBEDGETPU}")


def open_delegate(
    runtime: str,
    library: str,
    device: str,
    options: Mapping[str, str] | None = None,
    root: Path = Path("/"),
) -> Any:
    """Open the accelerator; the only one on USB is locked until the process ends.

    A process that opens an Edge TPU on USB resets it, under whatever process has it open already. And one
    that may not open it tries for 25 s. So both are found out before the library is asked.

    Args:
        runtime: ``auto``, ``litert`` or ``tflite-runtime``; the delegate works with this one only.
        library: name or path of the Edge TPU runtime.
        device: ``usb``, ``pci``, ``usb:0`` …
        options: further options of the library, such as ``Performance``.
        root: the root of the file system; another one in tests.

    Raises:
        DeviceBusy: another process holds it.
        Unavailable: it cannot be used now; the message says why and what to do.
        DriverError: the runtime is missing.
    """
    # Checked first, because the runtimes complain in a destructor about a library that is not a delegate.
    look_for(library)
    on_usb = not device.startswith("pci")
    if on_usb:
        _hold(root, patience_s=UDEV_S)
    try:
        delegate = runtimes.load_delegate(runtime, library, {**(options or {}), "device": device})
    except (OSError, AttributeError, ValueError) as error:
        what = f"there is no Edge TPU at '{device}'"
        if not on_usb:
            what += ", or another program uses it, or this user may not open it"
        raise Unavailable(Reason.ABSENT, what) from error
    if on_usb:
        _hold(root, patience_s=0.0)  # once it has its firmware it has another node
    return delegate


def _hold(root: Path, *, patience_s: float) -> None:
    """Lock the Edge TPU on USB; where there are several, the library alone knows which one it takes.

    Raises:
        DeviceBusy: another process holds it.
        Unavailable: this process may not open it.
    """
    nodes = board.coral_nodes(root)
    if len(nodes) != 1 or nodes[0] in _locked:
        return
    descriptor = _open(nodes[0], patience_s)
    if descriptor is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise DeviceBusy(f"another process uses the Edge TPU {nodes[0]}") from error
    _locked[nodes[0]] = descriptor


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
            remedy = "add its user to the group plugdev"
            if error.errno == errno.EPERM:
                remedy = "add DeviceAllow=char-usb_device rw to its unit"
            what = f"this process may not open the Edge TPU {node}: {remedy}"
            raise Unavailable(Reason.DENIED, what) from error
        except OSError:
            return None
