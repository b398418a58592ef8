"""Reads and validates a .tflite file without a runtime and without numpy.

Runtimes crash on damaged files, so every file is walked here from end to end before a runtime opens it.
``edged check`` also reads models through this module, in a process that holds no pixels. The file is read
once; the checksum covers exactly the bytes that a runtime gets later.

Field numbers are those of TFLite's ``schema.fbs``, version 3.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import calibration as _calibration
from edged.models import text_ids
from edged.models.tflite import graph as _graph
from edged.models.tflite import lookalikes, packed
from edged.models.tflite import metadata as _metadata
from edged.models.tflite.detection import DETECTION_OP
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table
from edged.models.tflite.metadata import Metadata
from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from edged.models.calibration import Calibration
    from edged.models.label_text import LabelList
    from edged.models.normalization import Normalization
    from edged.models.tensor import Tensor
    from edged.models.text_ids import Hashing, Vocabulary
    from edged.models.tflite.detection import DetectionStep
    from edged.models.tflite.metadata import CalibrationEntry

MAX_BYTES = 512 * 1024 * 1024

EDGETPU_OP = "edgetpu-custom-op"
# Custom operators that both runtimes include.
_BUILT_IN = frozenset({DETECTION_OP, "AudioSpectrogram", "Mfcc", "NumericVerify"})


@dataclass(frozen=True)
class ModelFile:
    """A complete and valid .tflite file.

    Attributes:
        path: the file.
        content: its bytes, for the runtime.
        sha256: the checksum of these bytes, 64 hex digits.
        inputs, outputs: the tensors of its main graph.
        custom_ops: the names of operators that are not TFLite's own.
        output_names: the names of each output, of its tensor and in signatures.
        chosen: the number of the one output that is used; None: all are.
        last_steps: the operator that computes each output: ``softmax``, ``sigmoid``, ``layer``; empty where
            it is another one.
        labels: the labels that are packed in it or appended to it, or None.
        normalization: the normalisation in its metadata, or None.
        input_range: the values that the first steps of its graph want for pixels, or empty.
        zero_to_one: its exporter trains models on pixels from 0 to 1.
        calibrations: how the scores of each output are calibrated, or None.
        words: how words become the numbers that it takes, by what is packed in it, or None.
        detection: the last step of an object detector; None where it is none, or one output is chosen.
    """

    path: Path
    content: bytes | mmap.mmap = field(repr=False)
    sha256: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    custom_ops: tuple[str, ...] = ()
    output_names: tuple[tuple[str, ...], ...] = ()
    chosen: int | None = None
    last_steps: tuple[str, ...] = ()
    labels: LabelList | None = field(default=None, repr=False)
    normalization: Normalization | None = None
    input_range: str = ""
    zero_to_one: bool = False
    calibrations: tuple[Calibration | None, ...] = ()
    words: Hashing | Vocabulary | None = field(default=None, repr=False)
    detection: DetectionStep | None = None

    @property
    def last_step(self) -> str:
        """The operator that computes the first output."""
        return self.last_steps[0] if self.last_steps else ""

    @property
    def calibration(self) -> Calibration | None:
        """The way in which the scores of the first output are calibrated."""
        return self.calibrations[0] if self.calibrations else None

    @property
    def output_choices(self) -> str:
        """The outputs for messages: number, names and shape of each."""
        listed = (
            f"{number} ({', '.join(filter(None, names))}: {tensor.shown})"
            for number, (names, tensor) in enumerate(zip(self.output_names, self.outputs, strict=False))
        )
        return " or ".join(listed) or f"a number from 0 to {len(self.outputs) - 1}"

    def with_output(self, output: str | int | None) -> ModelFile:
        """Return the model as one that has only this output.

        Args:
            output: its number, or the name of its tensor or in a signature; None: keep all.

        Raises:
            ModelError: there is no such output; the message names those that there are.
        """
        if output is None:
            return self
        wanted = str(output)
        named = [number for number, names in enumerate(self.output_names) if wanted in names]
        if not named and wanted.isdecimal() and int(wanted) < len(self.outputs):
            named = [int(wanted)]
        if not named:
            raise ModelError(f"{self.path}: it has no output {wanted}; its outputs are {self.output_choices}")
        (at, *_) = named
        return replace(
            self,
            outputs=(self.outputs[at],),
            output_names=self.output_names[at : at + 1],
            last_steps=self.last_steps[at : at + 1],
            calibrations=self.calibrations[at : at + 1],
            chosen=at,
            detection=None,
        )

    @property
    def for_edgetpu(self) -> bool:
        """Return whether the model is compiled for an Edge TPU."""
        return EDGETPU_OP in self.custom_ops


def read(
    path: Path, sha256: str | None = None, *, edgetpu: bool | None = False, content: int | None = None
) -> ModelFile:
    """Read and check a model.

    Args:
        path: the .tflite file.
        sha256: the required checksum, or at least its first 8 hex digits; None: any.
        edgetpu: True: it must be compiled for an Edge TPU; False: it must not be; None: either is accepted.
        content: a descriptor of sealed memory that holds the file's bytes; None: read the file.

    Raises:
        ModelError: the model cannot be used; the message names the file.
    """
    data = _content(path) if content is None else mmap.mmap(content, 0, prot=mmap.PROT_READ)
    if data[4:8] != b"TFL3":
        raise ModelError(f"{path}: it is not a .tflite file; {lookalikes.guess(data[:])}")
    digest = hashlib.sha256(data).hexdigest()
    wrong = sha256 is not None and not digest.startswith(sha256.lower())
    try:
        model = _walk(path, data, digest)
    except Malformed:
        has = f" (sha256 {digest[:8]}…, not {sha256[:8]}…)" if wrong and sha256 else ""
        raise ModelError(f"{path}: the file is truncated or damaged{has}; copy it again") from None
    if wrong and sha256:
        raise ModelError(
            f"{path}: its sha256 begins with {digest[:8]}, not {sha256[:8]}: is it another model?"
        )
    _check_operators(model, edgetpu=edgetpu)
    return model


def _content(path: Path) -> bytes:
    """Return the bytes of a regular file of at most ``MAX_BYTES``."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            if size > MAX_BYTES:
                raise ModelError(f"{path}: the file has {size >> 20} MB; the maximum is 512")
            content = file.read(size)
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        what = "it is a folder; if it is a SavedModel, make a .tflite of it with edged convert"
        raise ModelError(f"{path}: {what}") from None
    except (OSError, ValueError) as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{path}: the file cannot be read: {getattr(error, 'strerror', error)}") from None
    if not content:
        raise ModelError(f"{path}: the file is empty; copy it again")
    return content


def _walk(path: Path, content: bytes | mmap.mmap, digest: str) -> ModelFile:
    buffer = FlatBuffer(content)
    model = buffer.root()
    codes = [(max(c.integer(0, "b"), c.integer(3, "i")), c.text(1)) for c in model.tables(1)]
    blobs = [_blob(entry, buffer) for entry in model.tables(4)]
    graphs = [_graph.read(graph, blobs, codes) for graph in model.tables(2)]
    if not graphs:
        raise Malformed("no graph")
    signed = _signed_names(model)
    metadata = Metadata()
    for entry in model.tables(6):
        name, number = entry.text(0), entry.integer(1, "I")
        if name == "TFLITE_METADATA" and number < len(blobs):
            metadata = _metadata.read(blobs[number])
    wanted = [entry.file for entry in metadata.calibrations if entry is not None]
    wanted += filter(None, (text_ids.HASHING_FILE, text_ids.VOCABULARY_FILE, metadata.vocabulary_file))
    appended = packed.read(content, buffer.end, metadata.label_files, str(path), wanted)
    graph = graphs[0]
    return ModelFile(
        path=path,
        content=content,
        sha256=digest,
        inputs=graph.inputs,
        outputs=graph.outputs,
        output_names=tuple(
            tuple(dict.fromkeys((*signed.get(number, ()), tensor.name)))
            for number, tensor in zip(graph.output_numbers, graph.outputs, strict=True)
        ),
        custom_ops=tuple(name or "without a name" for code, name in codes if code == _graph.CUSTOM),
        last_steps=graph.last_steps,
        labels=appended.labels,
        input_range=graph.input_range,
        zero_to_one=appended.zero_to_one,
        calibrations=_calibrations(metadata.calibrations, dict(appended.files), path),
        words=_words(graph.inputs, dict(appended.files), metadata.vocabulary_file, path),
        normalization=metadata.normalization,
        detection=graph.detection,
    )


def _words(
    inputs: Sequence[Tensor], files: Mapping[str, bytes], named: str | None, path: Path
) -> Hashing | Vocabulary | None:
    """Return how words become numbers, for a model that takes such numbers."""
    takes = len(inputs) == 1 and inputs[0].dtype == "int32"
    return text_ids.read(files, named, str(path)) if takes else None


def _blob(entry: Table, buffer: FlatBuffer) -> memoryview:
    """Return a buffer's bytes: after the FlatBuffer in a file too large for it, else inside."""
    offset, size = entry.integer(1, "Q"), entry.integer(2, "Q")
    if offset > 1:  # 0: not used, 1: a placeholder
        buffer.reach(offset, size)
        return memoryview(buffer.data)[offset : offset + size]
    return entry.blob(0)


def _signed_names(model: Table) -> dict[int, list[str]]:
    """Return the names that signatures give the outputs of the main graph, by tensor."""
    names: dict[int, list[str]] = {}
    for signature in model.tables(7):
        signature.text(2)
        for slot in (0, 1):
            for entry in signature.tables(slot):
                name = entry.text(0)
                if slot == 1 and signature.integer(4, "I") == 0 and name:
                    names.setdefault(entry.integer(1, "I"), []).append(name)
    return names


def _calibrations(
    entries: Sequence[CalibrationEntry | None], files: Mapping[str, bytes], where: Path
) -> tuple[Calibration | None, ...]:
    return tuple(
        _calibration.read(e.transformation, e.default, files[e.file], f"{where}: {e.file} packed in it")
        if e is not None and e.file in files
        else None
        for e in entries
    )


def _check_operators(model: ModelFile, *, edgetpu: bool | None) -> None:
    compiled = model.for_edgetpu
    if compiled and edgetpu is False:
        raise ModelError(
            f"{model.path}: the model is compiled for the Edge TPU and cannot run on the CPU; "
            "write it as edgetpu_file, and the model for the CPU as file"
        )
    if edgetpu and not compiled:
        raise ModelError(
            f"{model.path}: the model is not compiled for the Edge TPU; compile it with edgetpu_compiler"
        )
    for name in model.custom_ops:
        if name.startswith("Flex"):
            raise ModelError(
                f"{model.path}: it needs {name[4:]} from full TensorFlow; convert it without Select ops"
            )
        if name not in _BUILT_IN and name != EDGETPU_OP:
            raise ModelError(f"{model.path}: it needs the custom operator {name}, which no runtime supports")
