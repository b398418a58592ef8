"""Opens accelerators through libraries that are external delegates of TensorFlow Lite.

Each exports ``tflite_plugin_create_delegate``: VeriSilicon's for its NPUs, Arm NN, those of others. The
runtime gives them the operators of an ordinary model that they can run; the CPU runs the rest.
"""

from __future__ import annotations

import ctypes
import logging
from typing import TYPE_CHECKING, Any

from edged.errors import Reason, Unavailable
from edged.inference import model as models
from edged.inference import runtime as runtimes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.inference.model import Model
    from edged.models.loaded_model import LoadedModel

log = logging.getLogger(__name__)

NOTHING_TAKEN = "takes no operator of the model: the CPU runs all of it"
_SYMBOLS = ("tflite_plugin_create_delegate", "tflite_plugin_destroy_delegate")


def look_for(
    library: str, kind: str = "an external delegate", remedy: str = "install it, or write its path"
) -> None:
    """Load a library and check that it is a delegate; opens no device.

    Args:
        library: its name or path.
        kind: what it has to be, in words.
        remedy: what to do where it is absent.

    Raises:
        Unavailable: the library is absent or something else.
    """
    try:
        found = ctypes.CDLL(library)
        for name in _SYMBOLS:
            getattr(found, name)
    except OSError as error:
        noun = kind.partition(" ")[2]
        what = f"the {noun} {library} cannot be loaded ({error}); {remedy}"
        raise Unavailable(Reason.ABSENT, what) from error
    except AttributeError as error:
        raise Unavailable(
            Reason.ABSENT, f"{library} is not {kind}: it contains no TFLite delegate"
        ) from error


def open_delegate(runtime: str, library: str, options: Mapping[str, str]) -> Any:
    """Open the accelerator that a library drives.

    Args:
        runtime: ``auto``, ``litert`` or ``tflite-runtime``; the delegate works with this one only.
        library: its name or path.
        options: its own options.

    Raises:
        Unavailable: it cannot be used now; the message says why.
        DriverError: the runtime is missing.
    """
    look_for(library)
    try:
        return runtimes.load_delegate(runtime, library, dict(options))
    except (OSError, AttributeError, ValueError) as error:
        told = str(error).partition("\n")[2].strip()  # what the library reported
        what = f"{library} opens no accelerator{': ' if told else ''}{told}"
        raise Unavailable(Reason.ABSENT, what) from error


def open_model(
    loaded: LoadedModel, delegate: Any, name: str, *, runtime: str, threads: int, content: int | None = None
) -> tuple[Model, bool]:
    """Return the model that a delegate runs, and whether it runs any of it; the CPU runs the rest.

    Args:
        loaded: the model, checked.
        delegate: of :func:`open_delegate`, with the same runtime.
        name: the library, for the log.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        threads: threads of the CPU kernels.
        content: a descriptor of sealed memory that holds the file's bytes; None: those that were read.

    Raises:
        ModelError: the runtime or the delegate cannot run the model.
        DriverError: the runtime is missing.
    """

    def opened(*, must_take_part: bool) -> Model:
        return models.open_model(
            loaded,
            runtime=runtime,
            threads=threads,
            delegate=delegate,
            must_take_part=must_take_part,
            content=content,
        )

    try:
        return opened(must_take_part=True), True
    except runtimes.NothingTakenError:
        log.warning("%s %s (%s)", name, NOTHING_TAKEN, loaded.file.path)
        return opened(must_take_part=False), False


def as_text(options: Mapping[str, bool | int | float | str]) -> dict[str, str]:
    """Return options as libraries take them: as text."""
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in options.items()
    }
