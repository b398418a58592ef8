"""The catalogue of public models that comes with edged: where each lies, and which checksum it has."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).resolve().with_name("catalogue.json")
RUNS = frozenset(
    {"classify", "detect", "sound", "text"}
)  # those that pipelines run with a model from a catalogue
EMBEDS = "embed"  # that of models which edged teach builds on


@dataclass(frozen=True)
class Entry:
    """A model of the catalogue.

    Attributes:
        name: its name, which is the stem of its file.
        task: ``classify``, ``embed``, ``detect``, ``segment``, ``pose``, ``sound``, ``audio`` or ``text``.
        family, publisher, about: what it is, who published it, what it knows.
        labels: the labels that are packed in it; 0: none, or not known.
        top1: the published accuracy in per cent; None: none was found.
        source: where that was published.
        unusable: why it cannot be used; empty where it can.
        url: where the file lies; empty where nobody has it.
        licence: the licence of the repository that it lies in.
        bytes: the size of the file; 0 where nobody has measured it.
        sha256: the checksum; empty: not pinned.
        git_blob: git's SHA-1 of a file that is not pinned, or empty.
        input, output: the tensors, such as ``uint8[1, 224, 224, 3]``; empty: not known.
        runtimes: those that ran it.
    """

    name: str
    task: str
    family: str
    publisher: str
    about: str
    labels: int = 0
    top1: float | None = None
    source: str = ""
    unusable: str = ""
    url: str = ""
    licence: str = ""
    bytes: int = 0
    sha256: str = ""
    git_blob: str = ""
    input: str = ""
    output: str = ""
    runtimes: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether a pipeline can run it."""
        return self.task in RUNS and not self.unusable

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Entry:
        """Return the entry that a line of the file describes."""
        return cls(**data | {"runtimes": tuple(data.get("runtimes", ()))})


@cache
def entries() -> dict[str, Entry]:
    """Return all models, by name."""
    listed = json.loads(_FILE.read_text("utf-8"))["models"]
    return {row["name"]: Entry.from_data(row) for row in listed}
