"""Classification: the best labels of a model that gives a row of scores, for pictures or windows.

It is also the template for your own task: copy this file to ``tasks/NAME.py``, and ``task: {kind: NAME}``
works, in the configuration, in its schema, in ``edged check`` and in a worker. The conformance test finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edged.drivers import wrong
from edged.errors import ModelError
from edged.models import image_classifier, window_model
from edged.tasks import Task, TaskConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import Gives, SampleSpec, Spec
    from edged.models.tflite.file import ModelFile


class Config(TaskConfig):
    """The keys of ``kind: classify``."""

    takes_taught: ClassVar[bool] = True

    kind: Literal["classify"] = Field(default="classify", description="the task: classify")

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse text, and readings without a model: edged brings a classifier of pictures only."""
        if gives == "text":
            raise wrong("for text, write task: {kind: text}", "source", "kind")
        if not model:
            what = f"edged brings nothing that classifies {'readings' if gives == 'window' else gives}"
            raise wrong(f"{what}: write model.file, or task: {{kind: anomaly}}", "source", "kind")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Return what the classifier takes and gives. Raises ``ModelError`` where it does not fit."""
    if model is None or sample.gives == "text":
        raise ModelError(f"there is no model that classifies a {sample.gives}")
    if sample.gives == "window":
        return window_model.classifier(model, sample)
    return image_classifier.spec(model)


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; the labels are those of the classes."""
    from edged.inference.decoding import scores

    return scores.decoder(spec, labels, config.top_k)
