"""Prepares the photographs that a source and its conversions are compared on: the same for all of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edged.config.model import ModelSection
from edged.inference.preprocess import Preparer
from edged.sources import Frame, jpeg, photographs
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import NDArray

    from edged.models.spec import PictureInput


def prepared(
    files: Sequence[str], picture: PictureInput, values: Mapping[str, Any]
) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Yield the number and the tensor of each photograph that can be read.

    Args:
        files: the photographs.
        picture: the model's input.
        values: the keys of ``model`` about the values of pixels.
    """
    section = ModelSection.model_validate(dict(values))
    prepare = Preparer(picture, normalize=section.normalization, order=section.order).prepare
    least = picture.width, picture.height
    for number, file in enumerate(files):
        try:
            found = photographs.read(Path(file), lambda width, height: jpeg.shrink((width, height), least))
        except OSError:
            continue
        yield number, prepare(Frame(found.pixels, clock.wall(), shrink=found.shrink))
