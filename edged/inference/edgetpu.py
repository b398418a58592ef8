"""Opens an Edge TPU, and explains why one cannot be opened.

``load_delegate`` raises OSError where the library is absent or not a library, AttributeError where it is not
a delegate, ValueError where there is no device. It may also abort, crash or hang for ever: the supervisor
deals with that.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edged.errors import Reason, Unavailable
from edged.inference import runtime as runtimes


def look_for(library: str) -> None:
    """Load the Edge TPU runtime and check that it is one; opens no device.

    Raises:
        Unavailable: the library is absent or something else; the message says what to do.
    """
    try:
        found = ctypes.CDLL(library)
        for name in ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"):
            getattr(found, name)
    except OSError as error:
        what = f"the Edge TPU runtime {library} cannot be loaded ({error}); install libedgetpu1-std"
        raise Unavailable(Reason.ABSENT, what) from error
    except AttributeError as error:
        what = f"{library} is not an Edge TPU runtime: it contains no TFLite delegate"
        raise Unavailable(Reason.ABSENT, what) from error


def open_delegate(runtime: str, library: str, device: str) -> Any:
    """Open the accelerator.

    Args:
        runtime: ``auto``, ``litert`` or ``tflite-runtime``; the delegate works with this one only.
        library: name or path of the Edge TPU runtime.
        device: ``usb``, ``pci``, ``usb:0`` …

    Raises:
        Unavailable: it cannot be used now; the message says why and what to do.
        DriverError: the runtime is missing.
    """
    # Checked first, because the runtimes complain in a destructor about a library that is not a delegate.
    look_for(library)
    try:
        return runtimes.load_delegate(runtime, library, {"device": device})
    except (OSError, AttributeError, ValueError) as error:
        what = f"there is no Edge TPU at '{device}', or another program uses it, or this user may not open it"
        raise Unavailable(Reason.ABSENT, what) from error
