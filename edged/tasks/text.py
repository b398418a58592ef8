"""Text classification: intents or replies for each line, best first; nothing under the threshold.

A line that is like none of the examples has a low score, so the decision is ``unknown``: no suggestion. The
model is one that edged teach made, the bundled one (``name: replies``), or a .tflite file that takes the
numbers of words.
Events carry labels, never the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edged.drivers import wrong
from edged.errors import ModelError
from edged.models import text_classifier
from edged.tasks import Task, TaskConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import Gives, SampleSpec, Spec
    from edged.models.tflite.file import ModelFile


class Config(TaskConfig):
    """The keys of ``kind: text``."""

    takes_taught: ClassVar[bool] = True

    kind: Literal["text"] = Field(default="text", description="the task: text")

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse what is not text, and text without a model."""
        if gives != "text":
            raise wrong("text works on lines of text: source kind lines", "task", "kind")
        if not model:
            what = "write model: {name: replies}, the bundled one, or {taught: NAME}, one of edged teach"
            raise wrong(what, "source", "kind")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Return what a model of text takes and gives. Raises ``ModelError`` where it does not fit."""
    if model is None or sample.gives != "text":
        raise ModelError("there is no model of text")
    return text_classifier.spec(model)


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; the labels are the intents or replies."""
    from edged.inference.decoding import scores

    return scores.decoder(spec, labels, config.top_k)
