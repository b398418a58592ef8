"""Looks closer at what a detector found: a second model classifies that part of the picture.

It runs only for news, so it costs nothing while nothing changes::

    frame ─▶ the detector's tensor ─▶ boxes ─▶ decision ─▶ start, change
      └───────── kept until then ─────┴─▶ part of the frame ─▶ second model ─▶ label
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from edged.errors import ModelError
from edged.events import MOST_CLOSER, UNKNOWN, Box, Finding
from edged.inference.preprocess import Preparer
from edged.models.spec import PictureInput
from edged.sources import SourceConfig
from edged.worker.capture import Item
from edged.worker.engines import Files, open_engine

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from edged.config.pipeline import PipelineSection
    from edged.ipc.heartbeat import Beat
    from edged.ipc.worker_order import PipelineOrder
    from edged.pipeline.decision import Change
    from edged.sources import Frame

_KEPT = 3  # frames: one that is judged, one that waits, one that is prepared
_LEAST_SIDE = 16  # px, of a part that is looked at


class CloserLook:
    """The second model of a pipeline, on the CPU.

    Attributes:
        labels: those of the model.

    Args:
        section: the configuration of the pipeline, which has ``then``.
        order: its part of the worker's order.
        beat: of the thread that runs models.
        files: what came with the order.

    Raises:
        ModelError: the model cannot be used.
        DriverError: the runtime is missing.
    """

    def __init__(self, section: PipelineSection, order: PipelineOrder, beat: Beat, files: Files) -> None:
        closer, then = section.closer, section.then
        assert closer is not None  # noqa: S101 - the caller looked
        assert then is not None  # noqa: S101 - as above
        self._engine = open_engine(
            closer, replace(order, accelerator="cpu"), beat, Files(files.then_model, files.then_labels)
        )
        self.labels = self._engine.labels
        takes, source = self._engine.spec.input, section.source
        if not isinstance(takes, PictureInput) or not isinstance(source, SourceConfig):
            raise ModelError(f"{self._engine.tag.name}: it does not take pictures")
        model = closer.model
        self._preparer = Preparer(
            takes, model.fit, int(source.rotate), normalize=model.normalization, order=model.order
        )
        self._wanted, self._margin = frozenset(then.labels), then.margin
        self._threshold, _ = closer.thresholds()
        self._frames: OrderedDict[int, Frame] = OrderedDict()

    def keeping(self, prepare: Callable[[Frame], NDArray[Any]]) -> Callable[[Frame], NDArray[Any]]:
        """Return a function that also keeps the frame of each tensor, until a few more were prepared."""

        def prepared(frame: Frame) -> NDArray[Any]:
            tensor = prepare(frame)
            self._frames.pop(id(tensor), None)
            self._frames[id(tensor)] = frame
            if len(self._frames) > _KEPT:
                self._frames.popitem(last=False)
            return tensor

        return prepared

    def look(self, tensor: NDArray[np.generic], change: Change) -> tuple[Finding, ...]:
        """Return what the model says of the objects of a change, in the order of their boxes.

        Args:
            tensor: the detector's input in which they were found.
            change: the news; only a start or a change of a label that is wanted is looked at.

        Raises:
            ModelError: the runtime failed.
        """
        frame = self._frames.get(id(tensor))
        if frame is None or change.type not in {"start", "change"}:
            return ()
        if self._wanted and change.label not in self._wanted:
            return ()
        return tuple(self._classified(frame, box) for box in change.boxes[:MOST_CLOSER])

    def _classified(self, frame: Frame, box: Box) -> Finding:
        item = Item(self._preparer.prepare_part(frame, self._widened(box), _LEAST_SIDE), 0.0, None, 0.0)
        findings = self._engine.decode(item, self._engine.run(item))
        if not findings or findings[0].score < self._threshold:
            return Finding(UNKNOWN, 0.0)
        return Finding(findings[0].label, findings[0].score)

    def _widened(self, box: Box) -> Box:
        x0, y0, x1, y1 = box
        across, down = self._margin * (x1 - x0), self._margin * (y1 - y0)
        return max(0.0, x0 - across), max(0.0, y0 - down), min(1.0, x1 + across), min(1.0, y1 + down)

    def rehearse(self) -> None:
        """Run the model once, on whatever its input holds. Raises ``ModelError``."""
        self._engine.rehearse()
