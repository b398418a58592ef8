"""What main asks of a process that measures: one model, in one runtime, with so many threads."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Order:
    """One round of one measurement.

    Attributes:
        model: the .tflite file.
        sha256: that it must still have.
        labels: one for each class; empty where nothing is judged.
        pictures: paths of photographs.
        answers: the right label of each of them; empty: judge none.
        runtime: ``litert`` or ``tflite-runtime``.
        threads: of the CPU kernels.
        device: the Edge TPU to run it on; empty: the CPU.
        library: of the Edge TPU.
        seconds: how long to run the model for its latency.
    """

    model: str
    sha256: str
    labels: tuple[str, ...]
    pictures: tuple[str, ...]
    answers: tuple[str, ...]
    runtime: str
    threads: int
    device: str
    library: str
    seconds: float

    def to_json(self) -> bytes:
        """Return the order as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Order:
        """Read it back."""
        fields = json.loads(data)
        for name in ("labels", "pictures", "answers"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
