"""Runs a pipeline's model and task on an item; or a task that needs no model.

::

    item ─▶ run (timed) ─▶ outputs ─▶ decode ─▶ findings
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from edged import tasks
from edged.errors import ModelError, Reason, Unavailable
from edged.events import ModelTag
from edged.inference import edgetpu, external
from edged.inference import head as heads
from edged.inference import model as models
from edged.inference import taught as taught_models
from edged.inference.taught import TaughtModel, TaughtText
from edged.ipc.heartbeat import Stage
from edged.models import bundled, image_classifier, loaded_model
from edged.models.taught import embedder, head_file
from edged.models.taught.store import HEAD
from edged.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from edged.config.pipeline import PipelineSection
    from edged.events import Finding
    from edged.inference.model import Model
    from edged.ipc.heartbeat import Beat
    from edged.ipc.worker_order import PipelineOrder
    from edged.models.loaded_model import LoadedModel
    from edged.models.spec import Spec
    from edged.models.taught.head_file import HeadFile
    from edged.models.tflite.file import ModelFile
    from edged.tasks import Task
    from edged.worker.capture import Item

# What libedgetpu prints of a model that it will never run; the device is in order.
_REFUSALS = (
    "requires runtime version",
    "Unsupported data type in custom op",
    "Multiple executables",
)
NO_CHECKSUM = "00000000"  # in events, for a measure, which has no file


class Engine:
    """Judges items; for one thread.

    Args:
        task: makes findings of the outputs.
        spec: what the task found in the model.
        model: open; None: the task needs none.

    Attributes:
        spec: what the task found in the model.
        labels: those that it may find.
        tag: the model's tag in events.
        runtime_name: the runtime that runs it.
    """

    def __init__(self, task: Task, spec: Spec, model: Model | TaughtModel | TaughtText | None) -> None:
        self.spec = spec
        self.labels = model.labels if model is not None else spec.labels
        self.tag = model.tag if model is not None else ModelTag(spec.measure, NO_CHECKSUM)
        self.runtime_name = model.runtime_name if model is not None else "numpy"
        self._task = task
        self._model = model

    def run(self, item: Item) -> Sequence[NDArray[np.generic]]:
        """Run the model; its state is reset first where the item does not continue the one before.

        Raises:
            ModelError: the runtime failed.
        """
        if self._model is None:
            return ()
        if item.begins:
            self._model.forget()
        return self._model.invoke(item.tensor)

    def decode(self, item: Item, outputs: Sequence[NDArray[np.generic]]) -> Sequence[Finding] | None:
        """Return the findings; empty where the outputs are not numbers, None where it is too early."""
        return self._task.decode(outputs, item.tensor)

    def features(self) -> str:
        """Return what a taught model saw in the last picture, float16 in base64; empty: there was none."""
        newest = self._model.newest if isinstance(self._model, TaughtModel) else None
        return "" if newest is None else base64.b64encode(heads.stored(newest)).decode()

    def rehearse(self) -> None:
        """Run the model once, on whatever its input holds. Raises ``ModelError``."""
        if self._model is not None:
            self._model.rehearse()

    def close(self) -> None:
        """Free the model, and with it the accelerator; nothing can be run afterwards."""
        if self._model is not None:
            self._model.close()


def _task(driver: Any, section: PipelineSection, spec: Spec, labels: Sequence[str]) -> Task:
    """Make the task. Raises ``ModelError`` where it cannot work with the model."""
    if why := section.task.unfit(spec):
        raise ModelError(f"{section.model_file() or section.task.kind}: {why}")
    return cast("Task", driver.create(section.task, spec, labels))


class Files(NamedTuple):
    """Descriptors of sealed memory with what main read for a pipeline; None: the worker reads the file.

    Attributes:
        model: the bytes of the model.
        labels: the bytes of the label file.
        twin: the bytes of the model that runs on the CPU if the accelerator's cannot be used.
        then_model: the bytes of the model that looks closer.
        then_labels: the bytes of its label file.
    """

    model: int | None = None
    labels: int | None = None
    twin: int | None = None
    then_model: int | None = None
    then_labels: int | None = None


def open_engine(section: PipelineSection, order: PipelineOrder, beat: Beat, files: Files) -> Engine:
    """Open what a pipeline runs, on the accelerator where the order says so.

    Args:
        section: the pipeline's configuration.
        order: its part of the worker's order.
        beat: of the thread that runs models.
        files: what came with the order.

    Raises:
        ModelError: the model cannot be used.
        DriverError: the runtime is missing.
        Unavailable: the accelerator is away.
    """
    driver, sample = tasks.load(section.task.kind), section.source.sample
    taught = _taught(section, files)

    def inspect(model: ModelFile) -> Spec:
        if taught is not None:
            return embedder.spec(model, taught[0].named)
        return cast("Spec", driver.inspect(model, sample))

    if order.accelerator == "edgetpu":
        model = _on_tpu(section, order, inspect, beat, files)
    elif (file := section.model_file()) is not None:
        # A model over time is so small that it gains nothing from more than one thread.
        threads = section.model.threads or (order.threads if sample.gives == "picture" else 1)
        delegate = _external(section, beat) if order.accelerator == "external" else None
        loaded = _loaded(section, file, inspect, files, taught[0].embedder if taught is not None else None)
        model = _opened(section, loaded, delegate, threads, files.model)
    elif taught is not None:
        text = TaughtText(*taught)
        return Engine(_task(driver, section, text.spec, text.labels), text.spec, text)
    else:
        spec = driver.inspect(None, sample)
        return Engine(_task(driver, section, spec, spec.labels), spec, None)
    judge = model if taught is None else TaughtModel(model, *taught)
    return Engine(_task(driver, section, judge.spec, judge.labels), judge.spec, judge)


def _loaded(
    section: PipelineSection,
    file: Path,
    inspect: Callable[[ModelFile], Spec],
    files: Files,
    embedder_sha256: str | None,
) -> LoadedModel:
    """Load the model for the CPU or an external delegate; that of a taught one has the head's checksum."""
    named = section.model
    labels, sha256 = named.labels, embedder_sha256 or named.sha256
    if named.file is None and embedder_sha256 is None:
        labels, sha256 = bundled.LABELS, bundled.MODEL_SHA256
    return loaded_model.load(
        file,
        labels,
        sha256,
        inspect=inspect,
        content=files.model,
        labels_content=files.labels,
        output=named.output,
    )


def _opened(
    section: PipelineSection, loaded: LoadedModel, delegate: object, threads: int, content: int | None
) -> Model:
    """Open a model on the CPU, or with an external delegate."""
    runtime, library = section.model.runtime, section.accelerator.library
    if delegate is None:
        return models.open_model(loaded, runtime=runtime, threads=threads, content=content)
    with _blamed(library):
        return external.open_model(
            loaded, delegate, library, runtime=runtime, threads=threads, content=content
        )[0]


def _taught(section: PipelineSection, files: Files) -> tuple[HeadFile, ModelTag] | None:
    """Return the head of a taught model and its tag in events; None where the pipeline runs none.

    Raises:
        ModelError: the head cannot be used.
    """
    folder = section.model.taught
    if folder is None:
        return None
    file = folder / HEAD
    content = head_file.content_of(file) if files.labels is None else head_file.mapped(files.labels)
    return head_file.read(file, content), taught_models.tag(printable(folder.name[:64]), content)


def _external(section: PipelineSection, beat: Beat) -> object:
    """Open what an external delegate drives."""
    beat.enter(Stage.DELEGATE)
    accelerator = section.accelerator
    delegate: object = external.open_delegate(
        section.model.runtime, accelerator.library, external.as_text(accelerator.options)
    )
    beat.enter(Stage.LOAD)
    return delegate


@contextmanager
def _blamed(name: str) -> Iterator[None]:
    """Blame an accelerator that refuses a model: the file is valid, so something is wrong with the device.

    Raises:
        ModelError: the model is to blame.
        Unavailable: the accelerator is.
    """
    try:
        yield
    except ModelError as error:
        if any(refusal in str(error) for refusal in _REFUSALS):
            raise
        raise Unavailable(Reason.LOST, f"{name} refuses a model: {error}") from error


def _on_tpu(
    section: PipelineSection,
    order: PipelineOrder,
    inspect: Callable[[ModelFile], Spec],
    beat: Beat,
    files: Files,
) -> Model:
    named, accelerator = section.model, section.accelerator
    beat.enter(Stage.DELEGATE)
    options = {key: str(value) for key, value in accelerator.options.items()}
    delegate = edgetpu.open_delegate(
        named.runtime, accelerator.library, accelerator.port, options, reset=order.reset
    )
    beat.enter(Stage.LOAD)
    file: Path = named.edgetpu_file or bundled.MODEL
    sha256 = named.edgetpu_sha256
    try:
        loaded = loaded_model.load(
            file,
            named.labels,
            sha256,
            inspect=inspect,
            edgetpu=True,
            content=files.model,
            labels_content=files.labels,
            output=named.output,
        )
    except ModelError as error:
        if files.model is not None or file.exists():
            raise
        raise ModelError(f"{error}; {image_classifier.compile_hint(named.file)}") from None
    with _blamed("the Edge TPU"):
        return models.open_model(
            loaded,
            runtime=named.runtime,
            threads=named.threads or order.threads,
            delegate=delegate,
            content=files.model,
        )
