"""Opens what a pipeline runs: a classifier of pictures, a model over time, or a measure without a model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import ModelError, Reason, Unavailable
from edged.inference import edgetpu
from edged.inference import model as models
from edged.ipc.heartbeat import Stage
from edged.models import bundled, image_classifier
from edged.models import window_model as serieses
from edged.tasks import anomaly, classify
from edged.worker import engines, windowing

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.config import series
    from edged.config.pipeline import PipelineSection
    from edged.inference.model import Model
    from edged.ipc.heartbeat import Beat
    from edged.ipc.worker_order import PipelineOrder
    from edged.models.image_classifier import ClassifierSpec
    from edged.models.window_model import SeriesSpec
    from edged.worker.engines import Engine

    Prepare = Callable[[NDArray[np.float32]], NDArray[np.generic]]

_Z_LIMIT, _HISTORY = anomaly.Config().limit, anomaly.Config().history  # where none is written


def of_pictures(
    section: PipelineSection, order: PipelineOrder, beat: Beat, content: int | None
) -> tuple[Engine, ClassifierSpec]:
    """Open an image classifier, on the accelerator where the order says so.

    Args:
        section: of the pipeline.
        order: the pipeline's part of the order.
        beat: of the thread that runs models.
        content: a descriptor of the model's bytes; None: open its file.

    Raises:
        ModelError: the model cannot be used.
        DriverError: the runtime is missing.
        Unavailable: the accelerator is away.
    """
    threads = section.model.threads or order.threads
    if order.accelerator == "edgetpu":
        model = _on_tpu(section, beat, threads, content)
    else:
        file, labels, sha256 = section.model.file, section.model.labels, section.model.sha256
        if file is None:
            file, labels, sha256 = bundled.MODEL, bundled.LABELS, bundled.MODEL_SHA256
        model = models.open_model(
            file, labels, sha256, runtime=section.model.runtime, threads=threads, content=content
        )
    return _classifying(section, model), model.spec


def of_series(section: PipelineSection, source: series.Config, content: int | None) -> tuple[Engine, Prepare]:
    """Open a model over time, or a measure that needs none; also return what makes its input of a window.

    Args:
        section: of the pipeline.
        source: of it.
        content: a descriptor of the model's bytes; None: open its file.

    Raises:
        ModelError: the model cannot be used.
        DriverError: the runtime is missing.
    """
    task, named = section.task, section.model
    limit = task.limit or _Z_LIMIT
    if named.file is None:
        return engines.Unmodelled(anomaly.RobustZ(limit, task.history or _HISTORY)), _as_it_is
    loaded = serieses.load(
        named.file,
        named.labels,
        named.sha256,
        steps=source.steps,
        channels=len(source.channels),
        rebuilds=task.kind == "anomaly",
        content=content,
    )
    threads = named.threads or 1  # so small a model gains nothing from more
    model = models.open_loaded(loaded, runtime=named.runtime, threads=threads, content=content)
    if task.kind == "anomaly":
        return engines.rebuilding(model, anomaly.Reconstruction(limit)), _stored(model.spec)
    return _classifying(section, model), _stored(model.spec)


def _classifying(section: PipelineSection, model: Model[ClassifierSpec] | Model[SeriesSpec]) -> Engine:
    config = classify.Config(top_k=section.task.top_k)
    return engines.classifying(model, classify.create(config, model.spec, model.labels))


def _on_tpu(section: PipelineSection, beat: Beat, threads: int, content: int | None) -> Model[ClassifierSpec]:
    named, accelerator = section.model, section.accelerator
    beat.enter(Stage.DELEGATE)
    delegate = edgetpu.open_delegate(named.runtime, accelerator.library, accelerator.device)
    beat.enter(Stage.LOAD)
    file = named.edgetpu_file or bundled.MODEL
    try:
        return models.open_model(
            file,
            named.labels,
            named.edgetpu_sha256,
            runtime=named.runtime,
            threads=threads,
            delegate=delegate,
            content=content,
        )
    except ModelError as error:
        if not file.exists():
            raise ModelError(f"{error}; {image_classifier.compile_hint(named.file)}") from None
        # Where nothing is wrong with the file it is the accelerator that refuses it.
        image_classifier.load(file, named.labels, named.edgetpu_sha256, edgetpu=True)
        raise Unavailable(Reason.LOST, f"the Edge TPU refuses a model: {error}") from error


def _as_it_is(values: NDArray[np.float32]) -> NDArray[np.generic]:
    """Return a window for a measure that needs no model."""
    return values


def _stored(spec: SeriesSpec) -> Prepare:
    """Return what makes a model's input of a window."""
    return lambda values: windowing.tensor(
        values, spec.input.shape, spec.input.dtype, spec.input.scale, spec.input.zero_point
    )
