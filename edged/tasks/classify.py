"""Classification: the best labels of a model that gives a row of scores, for pictures or windows.

It is also the template for your own task: copy this file to ``tasks/NAME.py``, and ``task: {kind: NAME}``
works, in the configuration, in its schema, in ``edged check`` and in a worker. The conformance test finds it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field, model_validator

from edged.drivers import wrong
from edged.errors import ModelError
from edged.events import MOST_BESIDE
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
    multi_label: bool = Field(
        default=False,
        description="several labels may be there at the same time, each decided by itself: for models with a "
        "sigmoid for each class",
    )

    @property
    def by_label(self) -> bool:
        """Return whether several labels may be there at the same time."""
        return self.multi_label

    def unfit(self, spec: Spec) -> str:
        """Return why several labels cannot be there at the same time."""
        if self.multi_label and spec.last_step == "softmax":
            return "its scores add up to 1 (a softmax), so one label is there at a time: omit multi_label"
        if self.multi_label and spec.binary:
            return "it has one score for two labels, so one label is there at a time: omit multi_label"
        return ""

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.multi_label and self.top_k > MOST_BESIDE:
            raise wrong(f"with multi_label, at most {MOST_BESIDE}", "top_k")
        return self

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

    if config.multi_label:
        return scores.MultiLabelDecoder(spec, labels)
    return scores.decoder(spec, labels, config.top_k)
