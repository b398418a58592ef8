"""A taught model: an embedder that a runtime runs, and a head in numpy; to a worker, one model."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from edged.errors import ModelError
from edged.events import ModelTag
from edged.inference import text_features
from edged.inference.head import Head, features_of
from edged.models.spec import Spec
from edged.models.taught import embedder
from edged.models.tensor import Tensor

if TYPE_CHECKING:
    import mmap

    from numpy.typing import NDArray

    from edged.inference.head import Floats
    from edged.inference.model import Model
    from edged.models.spec import PictureInput, TextInput, WindowInput
    from edged.models.taught.head_file import HeadFile


class TaughtModel:
    """Runs an embedder and judges what it gives; for one thread at a time.

    Args:
        model: the embedder, open.
        head: what was taught.
        tag: its tag in events.

    Attributes:
        spec: a picture in, a score for each label out.
        labels: those that it may answer with.
        tag: its tag in events.
        runtime_name: the runtime that runs the embedder.
        newest: the features of the last picture, of length 1; None: there was none.

    Raises:
        ModelError: the head was taught with another number of features.
    """

    def __init__(self, model: Model, head: HeadFile, tag: ModelTag) -> None:
        features = embedder.features(model.spec)
        if features != head.features:
            raise ModelError(
                f"{tag.name} was taught with {head.features} features, and {model.tag.name} gives {features}"
            )
        self._model = model
        self._head = Head(head)
        self._output = model.spec.outputs[0]
        self.labels = self._head.labels
        self.spec = _spec(model.spec.input, len(self.labels))
        self.tag = tag
        self.runtime_name = model.runtime_name
        self.newest: Floats | None = None

    def invoke(self, prepared: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the scores of a prepared picture, ``[labels]``. Raises ``ModelError``."""
        self.newest = features_of(self._model.invoke(prepared), self._output)
        return [self._head.scores(self.newest)]

    def rehearse(self) -> None:
        """Run the embedder once on whatever its input holds. Raises ``ModelError``."""
        self._model.rehearse()

    def forget(self) -> None:
        """Reset the state that the embedder keeps from one run to the next."""
        self._model.forget()

    def close(self) -> None:
        """Free the embedder's memory."""
        self._model.close()


class TaughtText:
    """Judges texts by their n-grams; for one thread at a time. It has the attributes of :class:`TaughtModel`.

    Args:
        head: what was taught.
        tag: its tag in events.

    Raises:
        ModelError: the head was taught with pictures.
    """

    runtime_name = "numpy"

    def __init__(self, head: HeadFile, tag: ModelTag) -> None:
        if head.gives != "text" or head.features != text_features.FEATURES:
            raise ModelError(f"{tag.name} was not taught with text")
        self._head = Head(head)
        self.labels = self._head.labels
        self.spec = _spec(None, len(self.labels))
        self.tag = tag

    def invoke(self, prepared: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the scores of a text, ``[labels]``; the text is the one value of the array."""
        return [self._head.scores(text_features.row(str(prepared.item())))]

    def rehearse(self) -> None:
        """Judge a text, to find out whether that works."""
        self._head.scores(text_features.row("rehearsal"))

    def forget(self) -> None:
        """Do nothing: each text is judged by itself."""

    def close(self) -> None:
        """Do nothing: there is no interpreter."""


def _spec(picture: PictureInput | WindowInput | TextInput | None, labels: int) -> Spec:
    """Return a score for each label; the scores are final, as those of a softmax are."""
    return Spec(picture, (Tensor("scores", (1, labels), "float32"),), labels, last_step="softmax")


def tag(name: str, content: bytes | mmap.mmap) -> ModelTag:
    """Return the tag of a taught model in events: its name, and the checksum of its head."""
    return ModelTag(name, hashlib.sha256(content).hexdigest()[:8])
