"""Makes a model's input of a sample: a picture, a window or a piece of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.inference.preprocess import Preparer
from edged.inference.text_ids import TextPreparer
from edged.inference.window_preparer import WindowPreparer
from edged.models.spec import PictureInput, TextInput, WindowInput
from edged.sources import SourceConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edged.config.pipeline import PipelineSection
    from edged.sources import Text, Window
    from edged.worker.engines import Engine


class AsItIs:
    """Hands a sample to a task that needs no model."""

    def prepare(self, sample: Window | Text) -> NDArray[np.generic]:
        """Return the sample's values."""
        return sample.values


class OfText:
    """Makes a model's input of a piece of text."""

    def __init__(self, preparer: TextPreparer) -> None:
        self._preparer = preparer

    def prepare(self, sample: Text) -> NDArray[np.generic]:
        """Return the text as the model wants it."""
        return self._preparer.prepare(str(sample.values.item()))


def preparer(section: PipelineSection, engine: Engine) -> Preparer | WindowPreparer | OfText | AsItIs:
    """Return what makes the model's input of a sample.

    Raises:
        ModelError: the model takes something else than the source gives.
    """
    takes, source = engine.spec.input, section.source
    if takes is None and source.gives != "picture":
        return AsItIs()
    if isinstance(takes, WindowInput) and source.gives == "window":
        return WindowPreparer(takes)
    if isinstance(takes, TextInput) and source.gives == "text":
        return OfText(TextPreparer(takes))
    if isinstance(takes, PictureInput) and isinstance(source, SourceConfig):
        model = section.model
        return Preparer(
            takes,
            model.fit,
            int(source.rotate),
            source.crop,
            normalize=model.normalization,
            order=model.order,
        )
    raise ModelError(f"task {section.task.kind} cannot take the {source.gives} that {source.kind} gives")
