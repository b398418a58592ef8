"""One .tflite file with its labels, open in a runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edged.errors import ModelError
from edged.events import ModelTag
from edged.inference import runtime as interpreters
from edged.models import runtimes
from edged.models.runtimes import default_threads
from edged.models.spec import TextInput
from edged.text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edged.inference.runtime import Interpreter
    from edged.models.loaded_model import LoadedModel


class Model:
    """Owns one interpreter; for one thread at a time.

    Attributes:
        spec: what the model takes and gives.
        labels: one for each class.
        tag: the model's tag in events.
        runtime_name: the runtime that runs it.
    """

    def __init__(self, loaded: LoadedModel, interpreter: Interpreter, runtime_name: str) -> None:
        self.spec = loaded.spec
        self.labels = loaded.labels
        self.tag = tag(loaded.file.path, loaded.file.sha256)
        self.runtime_name = runtime_name
        self._interpreter: Interpreter | None = interpreter
        self._input = int(interpreter.get_input_details()[0]["index"])
        outputs, chosen = interpreter.get_output_details(), loaded.file.chosen
        used = outputs if chosen is None else outputs[chosen : chosen + 1]
        self._outputs = [int(output["index"]) for output in used]

    def invoke(self, prepared: NDArray[np.generic]) -> list[NDArray[np.generic]]:
        """Run the model.

        Args:
            prepared: exactly the input tensor's shape and type, from ``Preparer.prepare``.

        Returns:
            The outputs that are used, in the model's order, each in its own shape and type.

        Raises:
            ModelError: the runtime failed.
        """
        interpreter = self._interpreter
        if interpreter is None:
            raise ModelError(f"{self.tag.name}: the model is closed")
        try:
            interpreter.set_tensor(self._input, prepared)
            interpreter.invoke()
            return [interpreter.get_tensor(output) for output in self._outputs]
        except (RuntimeError, ValueError) as error:
            raise _failed(self.tag, error) from error

    def rehearse(self) -> None:
        """Run the model once on whatever its input holds now, to find out whether it runs.

        Raises:
            ModelError: the runtime failed.
        """
        if self._interpreter is not None:
            try:
                if isinstance(self.spec.input, TextInput):  # other numbers than those of words end the run
                    pad = np.zeros(self.spec.input.tensor.shape, np.int32)
                    self._interpreter.set_tensor(self._input, pad)
                self._interpreter.invoke()
            except (RuntimeError, ValueError) as error:
                raise _failed(self.tag, error) from error

    def forget(self) -> None:
        """Reset the state that the model keeps from one run to the next."""
        if self._interpreter is not None:
            self._interpreter.reset_all_variables()

    def close(self) -> None:
        """Free the interpreter's memory; may be called twice, and nothing can be invoked afterwards."""
        self._interpreter = None


def _failed(model: ModelTag, error: Exception) -> ModelError:
    return ModelError(f"{model.name}: the runtime failed: {' '.join(str(error).split())}")


def tag(file: Path, sha256: str) -> ModelTag:
    """Return a model's tag in events: no folder, at most 64 characters, no control characters."""
    name = printable(file.stem[:64])
    return ModelTag(name, sha256[:8])


def open_model(
    loaded: LoadedModel,
    *,
    runtime: str = "auto",
    threads: int | None = None,
    delegate: object | None = None,
    must_take_part: bool = False,
    content: int | None = None,
) -> Model:
    """Open a model that was checked.

    Args:
        loaded: the model; its checksum is that of the very bytes which the runtime gets.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        threads: threads of the CPU kernels; None: cores, at most 4.
        delegate: the delegate of an accelerator; that of an Edge TPU takes only models compiled for it.
        must_take_part: raise ``NothingTakenError`` where the delegate takes nothing of the model.
        content: a descriptor of sealed memory that holds the file's bytes; None: those that were read.

    Raises:
        ModelError: the runtime cannot run the model; one sentence that names the file.
        DriverError: the runtime is missing; the message holds the command that installs it.
    """
    name = runtimes.choose(runtime)
    try:
        interpreter = interpreters.open_interpreter(
            loaded.file.content if content is None else content,
            runtime=name,
            threads=threads or default_threads(),
            delegate=delegate,
            must_take_part=must_take_part,
        )
    except interpreters.NothingTakenError:
        raise
    except ModelError as error:
        raise ModelError(f"{loaded.file.path}: {error}") from error
    return Model(loaded, interpreter, name)
