"""The file of a taught head: a header in JSON, then its numbers as float16.

::

    EDGEDHD1 | length of the header, 4 bytes | header | weights | bias | examples

The file holds everything that a worker needs beside the embedder, and everything that teaching more needs:
the examples, as features. So one rename replaces a head whole. Features of photographs are personal data: a
picture cannot be read back from them, but a person may be recognised by them.
"""

from __future__ import annotations

import json
import math
import mmap
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from edged.errors import ModelError
from edged.events import UNKNOWN
from edged.models import labels as label_files
from edged.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"EDGEDHD1"
MAX_BYTES = 64 * 1024 * 1024
MAX_LABELS, MAX_EXAMPLES, MAX_FEATURES = 500, 2000, 8192
MAX_HISTORY = 200  # entries
LEAST = 3  # examples of a label, below which leaving one out tells nothing about it
OTHER = "other"  # the label of examples of what is none of the labels
_HEADER = struct.Struct("<8sI")
CORRECTED = "corrected"  # what a lesson over MQTT is called in the history
NUMBER = 2  # bytes of a float16
_MAX_HEADER = 1_000_000

Gives = Literal["picture", "text"]


@dataclass(frozen=True, slots=True)
class Gates:
    """The bounds that an answer has to reach; below them, it is unknown.

    Attributes:
        cosine: to the nearest example.
        margin: of the best label.
    """

    cosine: float
    margin: float


@dataclass(frozen=True, slots=True)
class Taught:
    """One lesson.

    Attributes:
        at: when, in seconds since 1970.
        what: ``taught``, ``corrected`` (over MQTT) or ``forgot``.
        label: of the examples.
        count: their number.
    """

    at: float
    what: str
    label: str
    count: int


@dataclass(frozen=True)
class HeadFile:
    """A head as it is on disk.

    Attributes:
        version: counts the versions of this model from 1.
        gives: what it judges.
        embedder: the sha256 of the model that makes the features, 64 hex digits; empty for text.
        features: their number.
        labels: by number; ``other`` may be among them.
        answers: the number of the label of each example.
        gates: what an answer has to reach.
        weights, bias, examples: float16, by rows: ``[features, labels]``, ``[labels]``, ``[n, features]``.
        history: the lessons, newest last.
    """

    version: int
    gives: Gives
    embedder: str
    features: int
    labels: tuple[str, ...]
    answers: tuple[int, ...]
    gates: Gates
    weights: bytes | memoryview = field(repr=False)
    bias: bytes | memoryview = field(repr=False)
    examples: bytes | memoryview = field(repr=False)
    history: tuple[Taught, ...] = ()

    @property
    def named(self) -> tuple[str, ...]:
        """The labels that it may answer with."""
        return tuple(label for label in self.labels if label != OTHER)

    @property
    def counts(self) -> dict[str, int]:
        """The number of examples of each label."""
        return {label: self.answers.count(number) for number, label in enumerate(self.labels)}

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        header = json.dumps(
            {
                "version": self.version,
                "gives": self.gives,
                "embedder": self.embedder,
                "features": self.features,
                "labels": self.labels,
                "answers": self.answers,
                "gates": [self.gates.cosine, self.gates.margin],
                "history": [[t.at, t.what, t.label, t.count] for t in self.history[-MAX_HISTORY:]],
            },
            ensure_ascii=False,
        ).encode()
        head = _HEADER.pack(MAGIC, len(header)) + header
        return b"".join((head, self.weights, self.bias, self.examples))


def read(path: Path, content: bytes | mmap.mmap | None = None) -> HeadFile:
    """Read and check the file of a head.

    Args:
        path: the file.
        content: its bytes, where they are known.

    Raises:
        ModelError: it cannot be read, or is not such a file; the sentence names it.
    """
    data = content_of(path) if content is None else content
    if len(data) < _HEADER.size or data[: len(MAGIC)] != MAGIC:
        raise ModelError(f"{path}: it is not the head of a taught model")
    length = _HEADER.unpack_from(data)[1]
    if length > min(_MAX_HEADER, len(data) - _HEADER.size):
        raise _damaged(path)
    begin = _HEADER.size + length
    try:
        header = json.loads(data[_HEADER.size : begin])
        return _checked(header, memoryview(data)[begin:])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise _damaged(path) from None


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path}: the file is damaged; edged teach NAME --undo takes the version before it")


def content_of(path: Path) -> bytes:
    """Return the bytes of the file of a head. Raises ``ModelError`` where it cannot be read."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise ModelError(f"{path}: there is no such taught model; edged teach makes it") from None
    except OSError as error:
        raise ModelError(f"{path}: it cannot be read: {error.strerror}") from None
    if len(data) > MAX_BYTES:
        raise _damaged(path)
    return data


def mapped(descriptor: int) -> mmap.mmap:
    """Return the content of sealed memory without copying it."""
    return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)


def _checked(header: dict[str, Any], numbers: memoryview) -> HeadFile:
    """Return the head. Raises ``ValueError`` and its kin where it contradicts itself."""
    labels, answers = tuple(map(str, header["labels"])), tuple(map(int, header["answers"]))
    features = int(header["features"])
    cosine, margin = map(float, header["gates"])
    _require(0 < len(labels) <= MAX_LABELS and len(set(labels)) == len(labels))
    _require(0 < len(answers) <= MAX_EXAMPLES and set(answers) == set(range(len(labels))))
    _require(0 < features <= MAX_FEATURES and math.isfinite(cosine) and math.isfinite(margin))
    _require(header["gives"] in {"picture", "text"})
    _require(all(unfit(label) == "" for label in labels))
    sizes = [NUMBER * size for size in (features * len(labels), len(labels), len(answers) * features)]
    _require(len(numbers) == sum(sizes))
    weights, bias, examples = (
        numbers[sum(sizes[:part]) : sum(sizes[: part + 1])] for part in range(len(sizes))
    )
    lessons = [
        Taught(float(at), str(what), str(label), int(count)) for at, what, label, count in header["history"]
    ]
    return HeadFile(
        version=int(header["version"]),
        gives=header["gives"],
        embedder=str(header["embedder"]),
        features=features,
        labels=labels,
        answers=answers,
        gates=Gates(cosine, margin),
        weights=weights,
        bias=bias,
        examples=examples,
        history=tuple(lessons[-MAX_HISTORY:]),
    )


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError


def unfit(label: str) -> str:
    """Return why a text cannot be a label, as a clause; empty where it can."""
    if not label.strip() or label != label.strip():
        return "a label has at least one character, and no blanks around it"
    if len(label) > label_files.MAX_CHARACTERS:
        return f"a label has at most {label_files.MAX_CHARACTERS} characters"
    if not label.isprintable():
        return "a label has no control characters"
    if label == UNKNOWN:
        return f"'{UNKNOWN}' is the answer where nothing was recognised; teach such examples as '{OTHER}'"
    return ""
