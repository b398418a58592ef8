"""Any loud noise, without a model: a hammer, glass, a shout; by how loud a window of sound is.

The score is 0.5 at ``above_dbfs``, 1 where it is 20 dB louder, 0 where it is 20 dB quieter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from edged.drivers import wrong
from edged.errors import ModelError
from edged.models.spec import Spec
from edged.tasks import Task, TaskConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import Gives, SampleSpec
    from edged.models.tflite.file import ModelFile

LABEL = "loud"


class Config(TaskConfig):
    """The keys of ``kind: loud``."""

    own_labels: ClassVar[tuple[str, ...]] = (LABEL,)

    kind: Literal["loud"] = Field(default="loud", description="the task: loud")
    above_dbfs: Annotated[float, Field(ge=-120, le=0)] = Field(
        default=-30,
        description="sound is loud from this level on, in dBFS: 0 is as loud as can be, a quiet room -60",
    )

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse what is not sound, and a model, which it has no use for."""
        if gives != "window":
            raise wrong("loud works on sound: source kinds microphone and sound", "task", "kind")
        if model:
            raise wrong("loud needs no model: omit it", "model")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Return the measure. Raises ``ModelError`` where there is a model, or no sound."""
    if model is not None:
        raise ModelError(f"{model.path}: task loud needs no model")
    if not sample.rate_hz or sample.channels != 1:
        raise ModelError("task loud works on samples of sound")
    if not sample.steps:
        raise ModelError("without a model, nothing gives the length of a window: write source.window_s")
    return Spec(labels=(LABEL,), measure="level")


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; its one label is its own."""
    from edged.inference.decoding.loudness import Loud

    del spec
    (label,) = labels
    return Loud(label, config.above_dbfs)
