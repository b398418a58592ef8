"""One .tflite file with its labels, open in a runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from edged.errors import ModelError
from edged.events import ModelTag
from edged.inference import runtime as interpreters
from edged.models import image_classifier, runtimes
from edged.models.runtimes import default_threads

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.inference.runtime import Interpreter
    from edged.models.image_classifier import ClassifierSpec
    from edged.models.tflite.file import ModelFile


S_co = TypeVar("S_co", covariant=True)  # what goes in and comes out


class Loaded(Protocol[S_co]):
    """A model file that was checked: an image classifier, or a model over time."""

    @property
    def file(self) -> ModelFile:
        """Its file."""

    @property
    def spec(self) -> S_co:
        """What goes in and comes out."""

    @property
    def labels(self) -> tuple[str, ...]:
        """One for each class."""


class Model(Generic[S_co]):
    """Owns one interpreter; for one thread at a time.

    Attributes:
        spec: what goes in and comes out.
        labels: one for each class.
        tag: what events say about it.
        runtime_name: which runtime runs it.
    """

    def __init__(self, loaded: Loaded[S_co], interpreter: Interpreter, runtime_name: str) -> None:
        self.spec = loaded.spec
        self.labels = loaded.labels
        self.tag = tag(loaded.file.path, loaded.file.sha256)
        self.runtime_name = runtime_name
        self._interpreter: Interpreter | None = interpreter
        self._input = int(interpreter.get_input_details()[0]["index"])
        self._output = int(interpreter.get_output_details()[0]["index"])

    def invoke(self, prepared: NDArray[np.generic]) -> NDArray[np.generic]:
        """Run the model.

        Args:
            prepared: exactly the input tensor's shape and type, from ``Preparer.prepare``.

        Returns:
            The output, flat, in its own type; the caller's to keep.

        Raises:
            ModelError: the runtime failed.
        """
        interpreter = self._interpreter
        if interpreter is None:
            raise ModelError(f"{self.tag.name}: the model is closed")
        try:
            interpreter.set_tensor(self._input, prepared)
            interpreter.invoke()
            return interpreter.get_tensor(self._output).reshape(-1)
        except (RuntimeError, ValueError) as error:
            raise _failed(self.tag, error) from error

    def rehearse(self) -> None:
        """Run the model on whatever its input holds now, to see whether that works.

        Raises:
            ModelError: the runtime failed.
        """
        if self._interpreter is not None:
            try:
                self._interpreter.invoke()
            except (RuntimeError, ValueError) as error:
                raise _failed(self.tag, error) from error

    def forget(self) -> None:
        """Set the state that the model keeps from one run to the next back to its beginning."""
        if self._interpreter is not None:
            self._interpreter.reset_all_variables()

    def close(self) -> None:
        """Give the interpreter's memory back; may be called twice, and nothing can be invoked afterwards."""
        self._interpreter = None


def _failed(model: ModelTag, error: Exception) -> ModelError:
    return ModelError(f"{model.name}: the runtime failed: {' '.join(str(error).split())}")


def tag(file: Path, sha256: str) -> ModelTag:
    """Return what events say about a model: no folder, at most 64 characters, none of them a control."""
    name = "".join(c if c.isprintable() else "?" for c in file.stem[:64])
    return ModelTag(name, sha256[:8])


def open_model(
    file: Path,
    labels: Path | None = None,
    sha256: str | None = None,
    *,
    runtime: str = "auto",
    threads: int | None = None,
    delegate: object | None = None,
    content: int | None = None,
) -> Model[ClassifierSpec]:
    """Check an image classifier and open it.

    Args:
        file: the .tflite file.
        labels: the text file of labels; None: those packed in the model.
        sha256: the checksum that the file must have; it is that of the very bytes which the runtime gets.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        threads: of the CPU kernels; None: cores, at most 4.
        delegate: of an Edge TPU; the model must then be compiled for one.
        content: a descriptor of sealed memory that holds the file's bytes; None: read the file.

    Raises:
        ModelError: the file, its labels or the model cannot be used; one sentence that names the file.
        DriverError: the runtime is missing; the message holds the command that installs it.
    """
    loaded = image_classifier.load(Path(file), labels, sha256, edgetpu=delegate is not None, content=content)
    return open_loaded(loaded, runtime=runtime, threads=threads, delegate=delegate, content=content)


def open_loaded(
    loaded: Loaded[S_co],
    *,
    runtime: str = "auto",
    threads: int | None = None,
    delegate: object | None = None,
    content: int | None = None,
) -> Model[S_co]:
    """Open a model that was checked. Arguments and errors are those of :func:`open_model`."""
    name = runtimes.choose(runtime)
    try:
        interpreter = interpreters.open_interpreter(
            loaded.file.content if content is None else content,
            runtime=name,
            threads=threads or default_threads(),
            delegate=delegate,
        )
    except ModelError as error:
        raise ModelError(f"{loaded.file.path}: {error}") from error
    return Model(loaded, interpreter, name)
