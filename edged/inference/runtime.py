"""The only module that imports a TFLite runtime: LiteRT, or tflite-runtime if configured or alone installed.

2026-01: LiteRT runs a quantised MobileNet v2 several times as fast as tflite-runtime 2.14 on x86-64, so
``auto`` takes it wherever it is installed.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

from edged.errors import DriverError, ModelError
from edged.models.runtimes import RUNTIMES, choose

if TYPE_CHECKING:
    import mmap
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray


class NothingTakenError(ModelError):
    """A delegate takes no operator of a model, so that the CPU would run it."""


class Interpreter(Protocol):
    """The part of either runtime's interpreter that edged uses."""

    def allocate_tensors(self) -> None:
        """Prepare for :meth:`invoke`."""

    def get_input_details(self) -> list[dict[str, Any]]:
        """Describe the inputs; ``index`` is what the other methods take."""

    def get_output_details(self) -> list[dict[str, Any]]:
        """Describe the outputs."""

    def set_tensor(self, tensor_index: int, value: NDArray[Any]) -> None:
        """Copy a value in; shape and type must be the tensor's."""

    def get_tensor(self, tensor_index: int) -> NDArray[np.generic]:
        """Copy a value out."""

    def invoke(self) -> None:
        """Run the model, without holding Python's lock."""

    def reset_all_variables(self) -> None:
        """Reset the state that a model keeps from one run to the next."""


def preload(runtime: str = "auto") -> str:
    """Import a runtime, so that forked workers have it; opens nothing and starts no thread.

    Returns:
        Its name.

    Raises:
        DriverError: no runtime works here.
    """
    name = choose(runtime)
    _load(name)
    return name


def _load(name: str) -> Any:
    module, package = RUNTIMES[name]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DriverError(f"the runtime {name} cannot be loaded ({error}): pip install {package}") from error


def load_delegate(runtime: str, library: str, options: dict[str, str]) -> Any:
    """Return a delegate for :func:`open_interpreter` with the same runtime.

    Raises:
        DriverError: the runtime is not installed.
        OSError, AttributeError, ValueError: raised by the runtime: no library, no delegate, no device.
    """
    return _load(choose(runtime)).load_delegate(library, options)


def open_interpreter(
    content: bytes | int | mmap.mmap,
    *,
    runtime: str = "auto",
    threads: int = 1,
    delegate: object | None = None,
    must_take_part: bool = False,
) -> Interpreter:
    """Return an interpreter that is ready to run.

    Args:
        content: the bytes of a .tflite file that was checked: runtimes crash on damaged ones. A descriptor of
            sealed memory is mapped and not copied, and may be closed afterwards.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        threads: threads of the CPU kernels.
        delegate: an accelerator's delegate, from the same runtime; None: the CPU.
        must_take_part: raise ``NothingTakenError`` where the delegate takes no operator: it would not say so.

    Raises:
        DriverError: the runtime is not installed.
        ModelError: it cannot run this model; one sentence, without the name of the file.
    """
    interpreter = _load(choose(runtime)).Interpreter
    delegates = None if delegate is None else [delegate]
    try:
        # A delegate may abort the process here: the line that explains it must not wait in memory then.
        with _without_information() if delegate is None else nullcontext():
            opened: Interpreter = interpreter(
                **_where(content), num_threads=threads, experimental_delegates=delegates
            )
            # Looked at now: allocating gives the rest to the runtime's own delegate for the CPU.
            if must_take_part:
                _look_for_its_part(opened)
            opened.allocate_tensors()
    except NothingTakenError:
        raise
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ModelError(f"the runtime refuses the model: {_sentence(error)}") from error
    return opened


def _look_for_its_part(interpreter: Any) -> None:
    """Raise ``NothingTakenError`` where no node is a delegate's; both runtimes call those nodes alike."""
    operators = interpreter._get_ops_details()  # noqa: SLF001 - there is no other way
    if not any(operator["op_name"] == "DELEGATE" for operator in operators):
        raise NothingTakenError("the delegate takes no operator of the model")


def _where(content: bytes | int | mmap.mmap) -> dict[str, Any]:
    if isinstance(content, int):
        return {"model_path": f"/proc/self/fd/{content}"}
    return {"model_content": bytes(content)}


def _sentence(error: Exception) -> str:
    """Return a runtime's message on one line, without its links."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text.partition(" See instructions:")[0].removesuffix(".")[:300]


@contextmanager
def _without_information() -> Iterator[None]:
    """Keep the runtimes' INFO lines off standard error; all else is passed on.

    They write to the descriptor from C++, and neither has an option against it. Other output is kept in
    memory meanwhile, and is lost only if the process dies in here.
    """
    sys.stderr.flush()
    try:
        kept, waiting = os.dup(2), os.memfd_create("stderr")
    except OSError:  # no descriptors left, or no memfd: chatter is the smaller evil
        yield
        return
    try:
        os.dup2(waiting, 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(kept, 2)
        _pass_on(waiting)
        os.close(kept)
        os.close(waiting)


def _pass_on(waiting: int) -> None:
    os.lseek(waiting, 0, os.SEEK_SET)
    with os.fdopen(os.dup(waiting), "rb") as file:
        rest = b"".join(line for line in file if not line.startswith(b"INFO:"))
    if rest:
        os.write(2, rest)
