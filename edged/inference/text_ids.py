"""From a text to the numbers that a model takes: hashed n-grams, or the numbers of a vocabulary."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import numpy as np

from edged.inference import text_features
from edged.models.text_ids import Hashing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edged.models.spec import TextInput
    from edged.models.text_ids import Vocabulary

_BETWEEN = re.compile(r"[^\w']+")  # what the models of TFLite's Task Library split at


class TextPreparer:
    """Makes the input of a model of a text.

    Args:
        takes: what the model takes.
    """

    def __init__(self, takes: TextInput) -> None:
        self._takes = takes

    def prepare(self, text: str) -> NDArray[np.int32]:
        """Return the ids, in the shape of the input; what is too long is cut, and the rest is filled up."""
        takes = self._takes
        if isinstance(takes.words, Hashing):
            found, pad = hashed(text, takes.words.buckets), 0
        else:
            found, pad = _looked_up(text, takes.words), takes.words.pad
        row = np.full(takes.length, pad, np.int32)
        for at, number in zip(range(takes.length), found, strict=False):
            row[at] = number
        return row.reshape(takes.tensor.shape)


def hashed(text: str, buckets: int) -> Iterator[int]:
    """Yield the id of each n-gram of a text, each n-gram once."""
    for gram in dict.fromkeys(text_features.grams(text)):
        yield 1 + zlib.crc32(gram.encode()) % (buckets - 1)


def _looked_up(text: str, words: Vocabulary) -> Iterator[int]:
    if words.start is not None:
        yield words.start
    plain = text.casefold() if words.folded else text
    for word in _BETWEEN.split(plain[: text_features.MOST_CHARACTERS]):
        number = words.ids.get(word, words.unknown) if word else None
        if number is not None:
            yield number
