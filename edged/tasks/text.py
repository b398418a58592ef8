"""Text classification: intents or replies for each line, best first; nothing under the threshold.

A line that is like none of the examples has a low score, so the decision is ``unknown``: no suggestion.
Events carry labels, never the line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edged.drivers import wrong
from edged.errors import ModelError
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
        """Refuse what is not text, and text without a taught model."""
        if gives != "text":
            raise wrong("text works on lines of text: source kind lines", "task", "kind")
        if not model:
            raise wrong("write model: {taught: NAME}, a model that edged teach made", "source", "kind")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Refuse a .tflite file: a taught model needs none. Raises ``ModelError``."""
    del sample
    where = "" if model is None else f"{model.path}: "
    raise ModelError(f"{where}task text runs taught models; write model: {{taught: NAME}}")


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; the labels are those that were taught."""
    from edged.inference.decoding.scores import ScoreDecoder

    return ScoreDecoder(spec, labels, config.top_k)
