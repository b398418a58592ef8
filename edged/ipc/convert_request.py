"""Requests to the processes that convert a model and that run the result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

MODES = ("none", "float16", "dynamic", "int8", "uint8")
WHOLE = frozenset({"int8", "uint8"})  # modes that leave no real number in the model


@dataclass(frozen=True)
class ConvertRequest:
    """One conversion.

    Attributes:
        kind: ``savedmodel``, ``keras``, ``frozen``, ``metagraph``, ``checkpoint`` or ``tflite``.
        source: the folder, the file, or the prefix of a checkpoint.
        graph: the GraphDef of a checkpoint that has no MetaGraph.
        inputs, outputs: the names that the command line gives; empty: find them.
        shape: the shape of the input by the command line; empty: the source's, with a batch of 1.
        mode: one of :data:`MODES`.
        pictures: photographs that source and result are compared on.
        calibration: how many of them, spread evenly, quantisation is calibrated with.
        answers: for each photograph the numbers of the classes that are right; empty: nobody knows.
        values: the keys of ``model`` about the values of pixels, such as ``normalize``.
        old_runtimes: the result must run in tflite-runtime 2.14, which lacks newer versions of operators.
        memory_mb: the most memory that the process may take.
        layers: measure which layers quantisation changes most.
        core_ml: make a Core ML package, in ``none`` or ``float16``.
        labels: the names of the classes, for the package.
    """

    kind: str
    source: str
    graph: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    shape: tuple[int, ...] = ()
    mode: str = "none"
    pictures: tuple[str, ...] = ()
    calibration: int = 0
    answers: tuple[tuple[int, ...], ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    old_runtimes: bool = True
    memory_mb: int = 0
    layers: bool = False
    core_ml: bool = False
    labels: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> ConvertRequest:
        """Read it back."""
        fields = json.loads(data)
        for name in ("inputs", "outputs", "shape", "pictures", "labels"):
            fields[name] = tuple(fields[name])
        fields["answers"] = tuple(map(tuple, fields["answers"]))
        return cls(**fields)


@dataclass(frozen=True)
class RunRequest:
    """One run of a model over photographs.

    Attributes:
        model: the .tflite file.
        runtime: ``litert`` or ``tflite-runtime``.
        pictures: photographs.
        values: the keys of ``model`` about the values of pixels.
    """

    model: str
    runtime: str
    pictures: tuple[str, ...]
    values: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the request as text."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> RunRequest:
        """Read it back."""
        fields = json.loads(data)
        return cls(**fields | {"pictures": tuple(fields["pictures"])})
