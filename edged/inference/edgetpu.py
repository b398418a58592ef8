"""Opens an Edge TPU, and says which of the ways it fails this one is.

``load_delegate`` raises OSError where the library is absent or no library, AttributeError where it is no
delegate, ValueError where there is no device. It may also abort, crash or hang for ever: those are for
whoever watches this process.
"""

from __future__ import annotations

import ctypes
from typing import Any

from edged.errors import Reason, Unavailable
from edged.inference import runtime as runtimes


def look_for(library: str) -> None:
    """Load the Edge TPU runtime and look whether it is one; opens no device.

    Raises:
        Unavailable: it is absent or something else; the sentence says what to do.
    """
    try:
        found = ctypes.CDLL(library)
        for name in ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate"):
            getattr(found, name)
    except OSError as error:
        what = f"the Edge TPU runtime {library} cannot be loaded ({error}); install libedgetpu1-std"
        raise Unavailable(Reason.ABSENT, what) from error
    except AttributeError as error:
        what = f"{library} is no Edge TPU runtime: it has no TFLite delegate in it"
        raise Unavailable(Reason.ABSENT, what) from error


def open_delegate(runtime: str, library: str, device: str) -> Any:
    """Open the accelerator.

    Args:
        runtime: ``auto``, ``litert`` or ``tflite-runtime``; the delegate belongs to it.
        library: name or path of the Edge TPU runtime.
        device: ``usb``, ``pci``, ``usb:0`` …

    Raises:
        Unavailable: it cannot be used now; the sentence says why and what to do.
        DriverError: the runtime is missing.
    """
    # What can be no delegate is refused here: the runtimes complain in a destructor about such libraries.
    look_for(library)
    try:
        return runtimes.load_delegate(runtime, library, {"device": device})
    except (OSError, AttributeError, ValueError) as error:
        what = f"there is no Edge TPU at '{device}', or it is in use or may not be opened"
        raise Unavailable(Reason.ABSENT, what) from error
