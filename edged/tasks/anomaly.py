"""Anomaly detection over time: how unlike the usual a window is, as one score 0..1 for the decision.

There are two ways, see :mod:`edged.inference.decoding.distance`: the error with which an autoencoder rebuilds
the window, or, without a model, the distance of a window from those before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from edged.drivers import wrong
from edged.errors import ModelError
from edged.models import window_model
from edged.models.spec import Spec
from edged.tasks import Task, TaskConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import Gives, SampleSpec
    from edged.models.tflite.file import ModelFile

LABEL = "anomaly"
LEAST_HISTORY = 8  # windows before the first judgement
_LIMIT, _HISTORY = 3.5, 200  # without a model, where none is written


class Config(TaskConfig):
    """The keys of ``kind: anomaly``."""

    own_labels: ClassVar[tuple[str, ...]] = (LABEL,)

    kind: Literal["anomaly"] = Field(default="anomaly", description="the task: anomaly")
    limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        examples=[3.5],
        default=None,
        description="the score is 0.5 here: at this mean square error of an autoencoder (to be written), or "
        "without a model at this many robust standard deviations, default 3.5",
    )
    history: Annotated[int, Field(ge=LEAST_HISTORY, le=10000)] | None = Field(
        examples=[200],
        default=None,
        description="without a model: the number of windows that define what is usual, default 200",
    )

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse pictures, and keys that belong to the other way."""
        if gives != "window":
            raise wrong("anomaly works on readings over time: source kind sensors", "task", "kind")
        if model and self.limit is None:
            raise wrong("with a model, write limit: the error from which a window is unusual", "task", "kind")
        if model and self.history is not None:
            raise wrong("history is for anomaly without a model", "task", "history")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Return what the autoencoder takes and gives; without one, the measure. Raises ``ModelError``."""
    if sample.gives != "window":
        raise ModelError(f"anomaly works on windows of readings, not on a {sample.gives}")
    if model is None and not sample.steps:
        raise ModelError("without a model, nothing gives the length of a window: write source.window_s")
    if model is None:
        return Spec(labels=(LABEL,), measure="robust-z")
    return window_model.autoencoder(model, sample, (LABEL,))


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; its one label is its own."""
    from edged.inference.decoding import distance

    (label,) = labels
    if spec.input is None:
        history = config.history or _HISTORY
        return distance.RobustZ(label, config.limit or _LIMIT, history, least_history=LEAST_HISTORY)
    return distance.Reconstruction(label, config.limit or _LIMIT, spec)
