"""A closer look: a second model classifies what a detector found, on that part of the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from edged.config.model import ModelSection
from edged.config.values import Label, Probability
from edged.drivers import Section, wrong


class ThenSection(Section):
    """What to look at closer, and with which model."""

    labels: Annotated[tuple[Label, ...], Field(max_length=100)] = Field(
        examples=[["bird"]], default=(), description="the objects to look at; default: all that are decided"
    )
    model: ModelSection = Field(
        default_factory=ModelSection, description="the classifier; default: the bundled one"
    )
    threshold: Probability | None = Field(
        examples=[0.4],
        default=None,
        description="below this score, 0..1, the answer is unknown; default 0.5, with the bundled model 0.25",
    )
    margin: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = Field(
        default=0.1, description="how much more than the box is looked at, on each side, as a part of it"
    )

    @model_validator(mode="after")
    def _on_the_cpu(self) -> ThenSection:
        if self.model.edgetpu_file is not None:
            raise wrong("a closer look runs on the CPU: write file alone", "model", "edgetpu_file")
        return self
