"""A request to the process that teaches: it looks at examples, and fits a head to them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

STRANGER = -1  # the answer of an example that is none of the labels


@dataclass(frozen=True)
class TeachRequest:
    """One lesson, or one examination.

    Attributes:
        labels: all labels of the head, by number; examples of others in ``head`` are left out.
        embedder: the model that makes features of pictures; empty for text.
        sha256: its checksum.
        head: the file of the head so far; empty: there is none.
        files: photographs, or files of text with an example in each line.
        answers: the number of the right label for each file, or ``STRANGER``.
        camera: instead of files: the section ``source`` of a pipeline.
        count: pictures to take from it.
        keep: descriptors of files for these pictures, as JPEG; empty: they are not kept.
        interval_s: between two of them.
        answer: the number of their label.
        row: the features of one example more, float16 in base64; empty: there is none. It has this label too.
        fit: how a picture is fitted to the model's input.
        values: the keys of ``model`` about the values of pixels, such as ``normalize``.
        runtime: ``auto``, ``litert`` or ``tflite-runtime``.
        examine: judge the files by the head as it is, and teach nothing.
    """

    labels: tuple[str, ...]
    embedder: str = ""
    sha256: str = ""
    head: str = ""
    files: tuple[str, ...] = ()
    answers: tuple[int, ...] = ()
    camera: Mapping[str, Any] | None = None
    count: int = 0
    keep: tuple[int, ...] = ()
    interval_s: float = 1.0
    answer: int = 0
    row: str = ""
    fit: str = "stretch"
    values: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = "auto"
    examine: bool = False

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> TeachRequest:
        """Read it back."""
        fields = json.loads(data)
        for name in ("labels", "files", "answers", "keep"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
