"""A pipeline's ``motion``: classify only while something moves. See :mod:`edged.worker.motion`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from edged.config.values import Seconds
from edged.drivers import Section


class MotionSection(Section):
    """The movement that a picture must show."""

    area: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.01, description="part of what the model sees that must change, 0..1"
    )
    hold_s: Seconds = Field(
        default=5,
        description="go on for at least this many seconds after the last movement, and for decision.window "
        "pictures and decision.min_dwell_s",
    )
