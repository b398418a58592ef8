"""How a model wants words as numbers: hashed n-grams, or a vocabulary. Needs no runtime and no numpy.

A model that takes text as numbers does not say in its graph which number is which word, so files that are
packed in it (or appended as a zip archive) do:

* ``text.json``, edged's own: ``{"ids": "hashed-ngrams", "buckets": 16384}``. Each n-gram of
  :func:`edged.inference.text_features.grams` gets the number ``1 + crc32 % (buckets - 1)``.
* ``vocab.txt``, or the file that the metadata name for their regular expression: in each line a word, or a
  word and its number. ``<PAD>``, ``<START>`` and ``<UNKNOWN>`` are what they are called.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edged.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

HASHING_FILE, VOCABULARY_FILE = "text.json", "vocab.txt"
HASHED = "hashed-ngrams"
MOST_WORDS = 100_000
_LARGEST = 2**31 - 1  # an id is an int32
_PAD, _START, _UNKNOWN = "<pad>", "<start>", "<unknown>"


@dataclass(frozen=True, slots=True)
class Hashing:
    """N-grams become numbers by a hash; 0 fills up.

    Attributes:
        buckets: ids are below this.
    """

    buckets: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words become the numbers that a list has for them.

    Attributes:
        ids: the number of each word.
        pad: fills up.
        start: comes first; None: nothing does.
        unknown: stands for a word that is not in the list; None: such a word is left out.
        folded: the list has small letters only, so the text gets them too.
    """

    ids: Mapping[str, int] = field(repr=False)
    pad: int = 0
    start: int | None = None
    unknown: int | None = None
    folded: bool = True


def read(files: Mapping[str, bytes], named: str | None, where: str) -> Hashing | Vocabulary | None:
    """Return how a model wants words as numbers; None where nothing packed in it tells.

    Args:
        files: the packed files.
        named: the file that its metadata name; empty: they name a tokenizer that is not known here; None:
            they name nothing.
        where: the model's name in errors.

    Raises:
        ModelError: the file is not understood.
    """
    if (data := files.get(HASHING_FILE)) is not None:
        return _hashing(data, f"{where}: {HASHING_FILE} packed in it")
    name = VOCABULARY_FILE if named is None else named
    data = files.get(name)
    return None if data is None else _vocabulary(data, f"{where}: {name} packed in it")


def _hashing(data: bytes, where: str) -> Hashing:
    try:
        described: Any = json.loads(data)
        kind, buckets = described["ids"], described["buckets"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ModelError(f"{where}: it has no ids and buckets") from None
    if kind != HASHED:
        raise ModelError(f"{where}: edged knows ids of the kind {HASHED}, not {str(kind)[:40]!r}")
    if type(buckets) is not int or not 2 <= buckets <= _LARGEST:
        raise ModelError(f"{where}: buckets is not a number from 2 to {_LARGEST}")
    return Hashing(buckets)


def _vocabulary(data: bytes, where: str) -> Vocabulary:
    try:
        lines = data.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ModelError(f"{where}: it is not UTF-8 text") from None
    if not 1 <= len(lines) <= MOST_WORDS:
        raise ModelError(f"{where}: it has {len(lines)} lines, not 1 to {MOST_WORDS}")
    ids: dict[str, int] = {}
    for number, line in enumerate(lines):
        word, _, text = line.strip().rpartition(" ")
        if not word or not (text.isascii() and text.isdecimal()):
            word, text = line.strip(), str(number)
        if len(text) > len(str(_LARGEST)) or int(text) > _LARGEST:
            raise ModelError(f"{where}:{number + 1}: {text[:20]} is too large for an id")
        if word:
            ids.setdefault(word, int(text))
    special = {word.casefold(): at for word, at in ids.items() if word.startswith("<")}
    plain = {word: at for word, at in ids.items() if word.casefold() not in {_PAD, _START, _UNKNOWN}}
    return Vocabulary(
        plain,
        special.get(_PAD, 0),
        special.get(_START),
        special.get(_UNKNOWN, special.get("<unk>")),
        all(word == word.casefold() for word in plain),
    )
