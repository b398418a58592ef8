"""Detection: the objects in a picture, how many of each label, and in which zone.

It runs detectors that end in ``TFLite_Detection_PostProcess``. Each label is decided by itself: ``start``
when it is there, ``change`` when its count changes, ``end`` when it is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from edged.drivers import wrong
from edged.errors import ModelError
from edged.events import MOST_BESIDE
from edged.models import object_detector
from edged.pipeline.presence import Scope
from edged.tasks import Task, TaskConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.models.spec import Gives, SampleSpec, Spec
    from edged.models.tflite.file import ModelFile
    from edged.pipeline.presence import Point

MOST_ZONES, MOST_CORNERS = 16, 32
Part = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


def _zone(corners: tuple[Point, ...]) -> tuple[Point, ...]:
    """Return the corners of a zone. Raises ``PydanticCustomError`` where they have no area."""
    (x0, y0), *rest = corners or ((0.0, 0.0),)
    if not any((x - x0) * (v - y0) != (u - x0) * (y - y0) for x, y in rest for u, v in rest):
        raise wrong("a zone has at least 3 corners, and an area")
    return corners


Corners = Annotated[tuple[tuple[Part, Part], ...], Field(max_length=MOST_CORNERS), AfterValidator(_zone)]
ZoneName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,32}$")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Config(TaskConfig):
    """The keys of ``kind: detect``."""

    kind: Literal["detect"] = Field(default="detect", description="the task: detect")
    top_k: Annotated[int, Field(ge=1, le=MOST_BESIDE)] = Field(
        default=3, description="findings to report, best first"
    )
    labels: Annotated[tuple[Label, ...], Field(max_length=100)] = Field(
        examples=[["person"]],
        default=(),
        description="the labels to look for; default: all. Home Assistant shows presence and count of each",
    )
    min_area: Part = Field(
        examples=[0.01], default=0.0, description="the least part of the picture that an object takes, 0..1"
    )
    zones: Annotated[dict[ZoneName, Corners], Field(max_length=MOST_ZONES)] = Field(
        examples=[{"door": [[0.1, 0.2], [0.4, 0.2], [0.4, 1.0], [0.1, 1.0]]}],
        default_factory=dict,
        description="polygons by name: [x, y] in parts of the whole picture, 0..1 from its upper left; an "
        "object counts where the middle of its lower edge lies. Default: the whole picture",
    )

    @property
    def by_label(self) -> bool:
        """Return True: several labels are there at the same time."""
        return True

    @property
    def watched(self) -> tuple[str, ...]:
        """Return the labels to look for."""
        return self.labels

    @property
    def counts(self) -> bool:
        """Return True: every object is found."""
        return True

    @property
    def scope(self) -> Scope:
        """Return which objects count."""
        return Scope(self.min_area, dict(self.zones))

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse what is not a picture."""
        del model
        if gives != "picture":
            raise wrong(f"detect works on pictures, and the source gives a {gives}", "source", "kind")


def inspect(model: ModelFile | None, sample: SampleSpec) -> Spec:
    """Return what the detector takes and gives. Raises ``ModelError`` where it does not fit."""
    if model is None or sample.gives != "picture":
        raise ModelError(f"there is no model that detects objects in a {sample.gives}")
    return object_detector.spec(model)


def create(config: Config, spec: Spec, labels: Sequence[str]) -> Task:
    """Return the task; the labels are those of the classes."""
    from edged.inference.decoding.boxes import BoxDecoder

    assert isinstance(spec, object_detector.DetectorSpec)  # noqa: S101 - as inspect returned it
    return BoxDecoder(spec, labels, config.labels)
