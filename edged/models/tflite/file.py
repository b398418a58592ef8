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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models.tflite import graph as _graph
from edged.models.tflite import lookalikes, packed
from edged.models.tflite import metadata as _metadata
from edged.models.tflite.flatbuffer import FlatBuffer, Malformed, Table
from edged.models.tflite.metadata import Metadata
from edged.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from edged.models.label_text import LabelList
    from edged.models.tensor import Tensor
    from edged.models.tflite.metadata import Normalization

MAX_BYTES = 512 * 1024 * 1024

EDGETPU_OP = "edgetpu-custom-op"
DETECTION_OP = "TFLite_Detection_PostProcess"
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
        last_step: the operator that computes the first output: ``softmax``, ``sigmoid``, ``layer``; empty
            where it is another one.
        labels: the labels that are packed in it or appended to it, or None.
        normalization: the normalisation in its metadata, or None.
    """

    path: Path
    content: bytes | mmap.mmap = field(repr=False)
    sha256: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    custom_ops: tuple[str, ...] = ()
    last_step: str = ""
    labels: LabelList | None = field(default=None, repr=False)
    normalization: Normalization | None = None

    @property
    def for_edgetpu(self) -> bool:
        """Whether the model is compiled for an Edge TPU."""
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
        raise ModelError(f"{path}: it is a folder, perhaps a SavedModel; edged runs .tflite files") from None
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
    graphs = [_graph.read(graph, len(blobs), [code for code, _ in codes]) for graph in model.tables(2)]
    if not graphs:
        raise Malformed("no graph")
    _walk_signatures(model)
    metadata = Metadata()
    for entry in model.tables(6):
        name, number = entry.text(0), entry.integer(1, "I")
        if name == "TFLITE_METADATA" and number < len(blobs):
            metadata = _metadata.read(blobs[number])
    appended = packed.read(content, buffer.end, metadata.label_files, str(path))
    return ModelFile(
        path=path,
        content=content,
        sha256=digest,
        inputs=graphs[0].inputs,
        outputs=graphs[0].outputs,
        custom_ops=tuple(name or "without a name" for code, name in codes if code == _graph.CUSTOM),
        last_step=graphs[0].last_step,
        labels=appended.labels,
        normalization=metadata.normalization,
    )


def _blob(entry: Table, buffer: FlatBuffer) -> memoryview:
    """Return a buffer's bytes: after the FlatBuffer in a file too large for it, else inside."""
    offset, size = entry.integer(1, "Q"), entry.integer(2, "Q")
    if offset > 1:  # 0: not used, 1: a placeholder
        buffer.reach(offset, size)
        return memoryview(buffer.data)[offset : offset + size]
    return entry.blob(0)


def _walk_signatures(model: Table) -> None:
    for signature in model.tables(7):
        signature.text(2)
        for slot in (0, 1):
            for entry in signature.tables(slot):
                entry.text(0)


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
