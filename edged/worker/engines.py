"""What a pipeline runs on an item: a model and its task, or a measure that needs no model.

::

    item ─▶ run (timed) ─▶ output ─▶ decode ─▶ findings
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edged.events import ModelTag

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from edged.events import Finding
    from edged.inference.model import Model
    from edged.models.tensor import Tensor
    from edged.models.window_model import SeriesSpec
    from edged.tasks.anomaly import Reconstruction, RobustZ
    from edged.tasks.classify import Classify
    from edged.worker.frame_capture import Item

ROBUST_Z = ModelTag("robust-z", "00000000")  # what events say where no model judges


class Engine(Protocol):
    """Judges items; for one thread.

    Attributes:
        tag: what events say about it.
        runtime_name: which runtime runs it.
    """

    tag: ModelTag
    runtime_name: str

    def run(self, item: Item) -> Any:
        """Run the model. Raises ``ModelError``."""

    def decode(self, item: Item, output: Any) -> Sequence[Finding] | None:
        """Return the findings; none where the output is no numbers, None where it is too early to judge."""

    def rehearse(self) -> None:
        """Run the model once, on nothing. Raises ``ModelError``."""


class Modelled:
    """A model and what its output means.

    Args:
        model: open.
        decode: findings from the item and the flat output.
    """

    def __init__(
        self, model: Model[object], decode: Callable[[Item, NDArray[np.generic]], Sequence[Finding]]
    ) -> None:
        self.tag, self.runtime_name = model.tag, model.runtime_name
        self._model = model
        self._decode = decode

    def run(self, item: Item) -> NDArray[np.generic]:
        """Run the model; what it remembers of before counts only where the item goes on from there."""
        if item.begins:
            self._model.forget()
        return self._model.invoke(item.tensor)

    def decode(self, item: Item, output: NDArray[np.generic]) -> Sequence[Finding]:
        """Return the findings."""
        return self._decode(item, output)

    def rehearse(self) -> None:
        """Run the model once, on nothing."""
        self._model.rehearse()


class Unmodelled:
    """Robust z-scores of the windows themselves."""

    tag, runtime_name = ROBUST_Z, "numpy"

    def __init__(self, task: RobustZ) -> None:
        self._task = task

    def run(self, item: Item) -> None:
        """Do nothing: there is no model."""

    def decode(self, item: Item, output: None) -> Sequence[Finding] | None:
        """Return the findings; None for the first windows, with which nothing can be compared."""
        del output
        learning = self._task.learning
        found = self._task.decode(item.tensor.astype(np.float32, copy=False))
        return found or (None if learning else found)

    def rehearse(self) -> None:
        """Do nothing."""


def classifying(model: Model[object], task: Classify) -> Engine:
    """Return a classifier, of pictures or over time."""
    return Modelled(model, lambda _, output: task.decode(output))


def rebuilding(model: Model[SeriesSpec], task: Reconstruction) -> Engine:
    """Return an autoencoder that is judged by what it cannot rebuild."""
    spec = model.spec
    given, rebuilt = _real(spec.input), _real(spec.output)
    # Compared with what the model was given: what rounding took away it cannot know.
    return Modelled(model, lambda item, output: task.decode(given(item.tensor), rebuilt(output)))


def _real(tensor: Tensor) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Return what makes real numbers of stored ones."""
    if tensor.dtype == "float32":
        return lambda stored: stored.astype(np.float64)
    return lambda stored: (stored.astype(np.float64) - tensor.zero_point) * tensor.scale
