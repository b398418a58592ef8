"""From a text to a row of features: hashed words, pairs of words, and pieces of words.

Each n-gram is hashed to one of 4,096 places, so there is no vocabulary to keep, any language will do, and a
misspelt word still shares most of its pieces with the right one. The text itself cannot be read back.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from typing import TYPE_CHECKING

import numpy as np

from edged.inference.head import scaled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

FEATURES = 4096
MOST_CHARACTERS = 1000  # of a text that count
_WORD = re.compile(r"\w+|[^\w\s]")
_PIECE = 4  # characters


def row(text: str) -> NDArray[np.float32]:
    """Return the features of a text, of length 1; zeros for one without words."""
    counts = np.zeros(FEATURES, np.float32)
    for gram in dict.fromkeys(grams(text)):
        counts[zlib.crc32(gram.encode()) % FEATURES] += 1
    return scaled(counts)


def grams(text: str) -> Iterator[str]:
    """Yield the n-grams of a text, some of them more than once: words, pairs of words, pieces of words."""
    plain = (
        unicodedata.normalize("NFKC", text[:MOST_CHARACTERS])
        .casefold()
        .replace("'", "")
        .replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    )
    words = _WORD.findall(plain)
    for word in words:
        yield f"w:{word}"
    for first, second in zip(["<", *words], [*words, ">"], strict=True):
        yield f"p:{first} {second}"
    for word in words:
        bounded = f"<{word}>"
        # Scripts without blanks between words have short words in long runs of letters.
        length = _PIECE if word.isascii() else _PIECE - 2
        for at in range(len(bounded) - length + 1):
            yield f"c:{bounded[at : at + length]}"
