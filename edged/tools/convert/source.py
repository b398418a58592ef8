"""Recognises what a model was saved as, from names and first bytes: nothing of it is executed here."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edged.errors import Refused
from edged.models.tflite import lookalikes
from edged.system.files import open_regular

_HEAD = 4096
_TFLITE = b"TFL3"
_HDF5 = b"\x89HDF"
_ZIP = b"PK\x03\x04"

ONNX = (
    "an ONNX model becomes a .tflite with onnx2tf, in a Python 3.12 of its own, from a copy, which it "
    "overwrites: python3.12 -m venv onnx && onnx/bin/pip install onnx2tf==2.6.9 && cp {name} copy.onnx && "
    "onnx/bin/onnx2tf -i copy.onnx -o converted; then convert the float32 .tflite in the folder converted"
)
PYTORCH = (
    "a PyTorch model becomes a .tflite with litert-torch, in a Python of its own: python3 -m venv torch && "
    "torch/bin/pip install litert-torch==0.10.0 torch==2.13.0; then, where the model's class is known: "
    "litert_torch.convert(litert_torch.to_channel_last_io(net.eval(), args=[0]), (example,))"
    ".export('M.tflite'); then convert M.tflite"
)


@dataclass(frozen=True)
class Source:
    """What is converted.

    Attributes:
        kind: ``savedmodel``, ``keras``, ``frozen``, ``metagraph``, ``checkpoint`` or ``tflite``.
        path: the folder, the file, or the prefix of a checkpoint.
        graph: the GraphDef of a checkpoint without a MetaGraph.
        files: all files that belong to it.
    """

    kind: str
    path: Path
    graph: Path | None = None
    files: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of all its files."""
        return sum(path.stat().st_size for path in self.files)

    @property
    def sha256(self) -> str:
        """The checksum over its files, each preceded by its name where there are several."""
        digest = hashlib.sha256()
        for path in self.files:
            if len(self.files) > 1:
                digest.update(path.name.encode() + b"\0")
            with open_regular(path) as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


def recognise(path: Path, graph: Path | None = None) -> Source:
    """Return what a path is.

    Args:
        path: a SavedModel's folder, a file, or the prefix of a checkpoint.
        graph: the GraphDef of a checkpoint.

    Raises:
        Refused: it is nothing that can be converted; the message says what to do.
    """
    path = path.absolute()
    if path.is_dir():
        return _folder(path)
    if path.name.endswith(".index") and path.is_file():
        path = path.with_suffix("")
    if path.name.endswith(".meta"):
        path = path.with_suffix("")
    if Path(f"{path}.index").is_file():
        return _checkpoint(path, graph)
    if graph is not None:
        raise Refused(f"{path}.index is missing: --graph goes with the prefix of a checkpoint", os.EX_NOINPUT)
    return _file(path)


def _folder(path: Path) -> Source:
    if (path / "saved_model.pb").is_file() or (path / "saved_model.pbtxt").is_file():
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))
        return Source("savedmodel", path, files=tuple(files))
    inner = sorted(file.parent for file in path.glob("*/saved_model.pb"))
    if inner:
        raise Refused(f"{path}: the SavedModel is inside: {inner[-1]}", os.EX_NOINPUT)
    prefixes = sorted(file.with_suffix("") for file in path.glob("*.index"))
    if prefixes:
        raise Refused(f"{path}: it holds a checkpoint: write its prefix, {prefixes[-1]}", os.EX_NOINPUT)
    raise Refused(f"{path}: this folder is not a SavedModel: it has no saved_model.pb", os.EX_NOINPUT)


def _checkpoint(prefix: Path, graph: Path | None) -> Source:
    parts = tuple(sorted(prefix.parent.glob(f"{prefix.name}.*")))
    if graph is not None:
        graph = graph.absolute()
        if not graph.is_file():
            raise Refused(f"{graph}: there is no such file (--graph)", os.EX_NOINPUT)
        parts = tuple(part for part in parts if part.suffix != ".meta")
        return Source("checkpoint", prefix, graph, (*parts, graph))
    if not Path(f"{prefix}.meta").is_file():
        what = "it has no .meta, so its graph must be named: --graph GRAPH.pb or .pbtxt"
        raise Refused(f"{prefix}: {what}", os.EX_NOINPUT)
    return Source("metagraph", prefix, files=parts)


def _file(path: Path) -> Source:
    try:
        with open_regular(path) as file:
            head = file.read(_HEAD)
    except FileNotFoundError:
        raise Refused(f"{path}: there is no such file", os.EX_NOINPUT) from None
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise Refused(f"{path}: it cannot be read: {said}", os.EX_NOINPUT) from None
    if path.name == "checkpoint" and head.startswith(b"model_checkpoint_path"):
        what = "it names files of the machine that wrote it: write the prefix of the .index file beside it"
        raise Refused(f"{path}: {what}", os.EX_NOINPUT)
    if path.name in {"saved_model.pb", "saved_model.pbtxt"}:
        return _folder(path.parent)
    if head[4:8] == _TFLITE:
        return Source("tflite", path, files=(path,))
    _refuse_others(path, head)
    if head.startswith(_HDF5) or (head.startswith(_ZIP) and _is_keras(path)):
        return Source("keras", path, files=(path,))
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if path.suffix in {".pb", ".pbtxt"} or text.startswith((b"node {", b"node{")) or _is_graph(head):
        return Source("frozen", path, files=(path,))
    raise Refused(f"{path}: it is not a model that TensorFlow saved; {lookalikes.guess(head)}", os.EX_DATAERR)


def _refuse_others(path: Path, head: bytes) -> None:
    """Refuse models of other frameworks, with the way that they take."""
    suffix = path.suffix.lower()
    if suffix == ".onnx":
        raise Refused(ONNX.format(name=path.name), os.EX_DATAERR)
    if suffix in {".pt", ".pth", ".pt2", ".ckpt"} and head.startswith((_ZIP, b"\x80")):
        raise Refused(PYTORCH, os.EX_DATAERR)
    if head.startswith(b"version https://git-lfs"):
        raise Refused(f"{path}: {lookalikes.guess(head)}", os.EX_DATAERR)


def _is_keras(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):
        return False


def _is_graph(head: bytes) -> bool:
    return head[:1] == b"\x0a" and (b"Placeholder" in head or b"Const" in head)
