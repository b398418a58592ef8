"""What a model is measured on: photographs, sound cut into windows as a pipeline cuts it, or a sentence."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edged.errors import Unavailable
from edged.inference.preprocess import Preparer
from edged.inference.text_ids import TextPreparer
from edged.inference.window_preparer import WindowPreparer
from edged.ipc.bench_request import NOISE
from edged.models.by_input import RATE_HZ
from edged.models.spec import PictureInput, TextInput, WindowInput
from edged.sources import Frame, Hint, Window, photographs
from edged.sources.drivers.sound import Config, Sound
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edged.models.normalization import Normalization, Order

    Tensor = NDArray[np.generic]

_SENTENCE = "could you please bring some milk and bread on your way home this evening, thank you"
_LOUD = 0.1  # of the noise that stands in for sound


class Material(Protocol):
    """Reads files, and makes tensors of what is in them."""

    def samples(self, path: str) -> Sequence[Any]:
        """Return the samples of a file: one picture, or its windows of sound; none where it is unreadable."""

    def prepare(self, sample: Any) -> Tensor:
        """Return the model's input; it may be overwritten by the next call."""


class Photographs:
    """A file is one picture.

    Args:
        spec: the model's input.
        normalize, order: the values that it gets for pixels.
    """

    def __init__(
        self, spec: PictureInput, *, normalize: Normalization | None = None, order: Order | None = None
    ) -> None:
        self._preparer = Preparer(spec, normalize=normalize, order=order)

    def samples(self, path: str) -> Sequence[Frame]:
        """Return the picture."""
        try:
            return [Frame(photographs.read(Path(path)).pixels, clock.wall())]
        except OSError:
            return []

    def prepare(self, sample: Frame) -> Tensor:
        """Return the model's input."""
        return self._preparer.prepare(sample)


class Sounds:
    """A file is some windows of sound.

    Args:
        spec: the model's input.
    """

    def __init__(self, spec: WindowInput) -> None:
        self._steps = spec.steps
        self._preparer = WindowPreparer(spec)

    def samples(self, path: str) -> Sequence[Window]:
        """Return the windows."""
        if path == NOISE:
            noise = np.random.default_rng(0).normal(0, _LOUD, (self._steps, 1))
            return [Window(noise.astype(np.float32), clock.wall())]
        source = Sound(Config(path=Path(path), rate_hz=RATE_HZ), Hint(steps=self._steps))
        try:
            source.open()
            return list(_windows(source))
        except Unavailable:
            return []
        finally:
            source.close()

    def prepare(self, sample: Window) -> Tensor:
        """Return the model's input."""
        return self._preparer.prepare(sample)


class Texts:
    """There is one sentence, and no file: accuracy is not measured.

    Args:
        spec: the model's input.
    """

    def __init__(self, spec: TextInput) -> None:
        self._preparer = TextPreparer(spec)

    def samples(self, path: str) -> Sequence[str]:
        """Return the sentence."""
        return [_SENTENCE] if path == NOISE else []

    def prepare(self, sample: str) -> Tensor:
        """Return the model's input."""
        return self._preparer.prepare(sample)


def _windows(source: Sound) -> Iterator[Window]:
    while True:
        try:
            window = source.read(0.0)
        except Unavailable:
            return
        if window is not None:
            yield window


def material(
    spec: PictureInput | WindowInput | TextInput,
    *,
    normalize: Normalization | None = None,
    order: Order | None = None,
) -> Material:
    """Return what a model with this input is measured on."""
    if isinstance(spec, WindowInput):
        return Sounds(spec)
    if isinstance(spec, TextInput):
        return Texts(spec)
    return Photographs(spec, normalize=normalize, order=order)
