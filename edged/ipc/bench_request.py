"""A request to a process that measures a model, and the answers that count as right."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NOISE = (
    ""  # in the place of a path: noise that is computed, for a model of sound; for one of text, a sentence
)
_APART = re.compile(r"(.+) \(class \d+\)")  # how a class is called whose name edged needs for itself


@dataclass(frozen=True)
class BenchRequest:
    """One round of one measurement.

    Attributes:
        model: the .tflite file.
        sha256: the checksum that the file must still have.
        labels: one per class; empty where no answers are judged.
        pictures: paths of photographs or of sound files; or :data:`NOISE`.
        answers: the name of the right answer for each photograph; empty: judge none.
        runtime: ``litert`` or ``tflite-runtime``.
        threads: threads of the CPU kernels.
        seconds: how long to run the model to time it.
        accelerator: cpu | edgetpu | external: what to run the model on.
        device: the Edge TPU; empty: none.
        library: the accelerator's library.
        options: that library's options.
        model_keys: further keys of ``model`` in a configuration, such as ``normalize``.
        unsure: it is not known which values the model wants for pixels: find the best of the usual ones.
        head: the file of the head, where the model is the embedder of a taught one.
    """

    model: str
    sha256: str
    labels: tuple[str, ...]
    pictures: tuple[str, ...]
    answers: tuple[str, ...]
    runtime: str
    threads: int
    seconds: float
    accelerator: str = "cpu"
    device: str = ""
    library: str = ""
    options: dict[str, str] = field(default_factory=dict)
    model_keys: dict[str, Any] = field(default_factory=dict)
    unsure: bool = False
    head: str = ""

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> BenchRequest:
        """Read it back."""
        fields = json.loads(data)
        for name in ("labels", "pictures", "answers"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


class Answers:
    """Looks up which of a model's labels the name of a folder means.

    Case is ignored, and ``_`` is a space. Many label files for ImageNet have several names per line,
    ``hotdog, hot dog, red hot``: each of them means that label, unless another line is exactly that name.

    Args:
        labels: the model's labels.
    """

    def __init__(self, labels: Iterable[str]) -> None:
        self._whole: dict[str, set[str]] = {}
        self._parts: dict[str, set[str]] = {}
        for label in labels:
            self._whole.setdefault(_fold(label), set()).add(label)
            for part in _parts(label):
                self._parts.setdefault(_fold(part), set()).add(label)

    def meant_by(self, name: str) -> frozenset[str]:
        """Return the labels that are right for a folder of this name; empty where the model has none."""
        name = _fold(name)
        return frozenset(self._whole.get(name) or self._parts.get(name) or ())


def names(labels: Iterable[str]) -> Iterator[str]:
    """Yield every name that means one of the labels."""
    for label in labels:
        yield label
        yield from _parts(label)


def _parts(label: str) -> list[str]:
    parts = [part.strip() for part in label.split(",") if part.strip()]
    apart = _APART.fullmatch(label)
    return [*parts, apart[1]] if apart else parts


def _fold(name: str) -> str:
    # Some systems write an accent as a character of its own.
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split()).casefold()
