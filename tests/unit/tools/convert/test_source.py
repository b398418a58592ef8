from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import pytest

from edged.errors import Refused
from edged.tools.convert.source import recognise

if TYPE_CHECKING:
    from pathlib import Path

GRAPH = b'node {\n  name: "input"\n  op: "Placeholder"\n}\n'


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as written:
        for name in names:
            written.writestr(name, "{}")
    return file.getvalue()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with something of every kind."""
    files = {
        "saved/saved_model.pb": b"\x08\x01\x12",
        "saved/variables/variables.index": b"x",
        "m.keras": archive("config.json", "metadata.json", "model.weights.h5"),
        "m.h5": b"\x89HDF\r\n\x1a\n",
        "frozen.pb": b"\x0a\x10Placeholder",
        "graph.pbtxt": GRAPH,
        "ckpt/model-1.index": b"x",
        "ckpt/model-1.meta": b"x",
        "ckpt/model-1.data-00000-of-00001": b"x",
        "ckpt/checkpoint": b'model_checkpoint_path: "/home/them/model-1"',
        "bare/model-2.index": b"x",
        "m.onnx": b"\x08\x07\x12",
        "net.pt": archive("net/data.pkl"),
        "m.tflite": b"\x1c\x00\x00\x00TFL3",
        "lfs.pb": b"version https://git-lfs.github.com/spec/v1\n",
        "page.pb": b"<!DOCTYPE html>",
        "photos.zip": archive("a.jpg"),
        "empty/readme.txt": b"x",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "kind", "path"),
    [
        ("saved", "savedmodel", "saved"),
        ("saved/saved_model.pb", "savedmodel", "saved"),
        ("m.keras", "keras", "m.keras"),
        ("m.h5", "keras", "m.h5"),
        ("frozen.pb", "frozen", "frozen.pb"),
        ("graph.pbtxt", "frozen", "graph.pbtxt"),
        ("ckpt/model-1", "metagraph", "ckpt/model-1"),
        ("m.tflite", "tflite", "m.tflite"),
        ("ckpt/model-1.meta", "metagraph", "ckpt/model-1"),
        ("ckpt/model-1.index", "metagraph", "ckpt/model-1"),
    ],
)
def test_each_format_is_recognised(saved: Path, name: str, kind: str, path: str) -> None:
    found = recognise(saved / name)
    assert (found.kind, found.path) == (kind, saved / path)
    assert found.size > 0
    assert len(found.sha256) == 64


def test_a_checkpoint_without_a_meta_graph_takes_its_graph(saved: Path) -> None:
    found = recognise(saved / "bare/model-2", saved / "graph.pbtxt")
    assert (found.kind, found.graph) == ("checkpoint", saved / "graph.pbtxt")
    assert saved / "graph.pbtxt" in found.files


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.pb", "there is no such file"),
        ("empty", "is not a SavedModel: it has no saved_model.pb"),
        ("ckpt", "it holds a checkpoint: write its prefix"),
        ("ckpt/checkpoint", "files of the machine that wrote it: write the prefix"),
        ("bare/model-2", "it has no .meta, so its graph must be named: --graph"),
        ("m.onnx", "onnx2tf==2.6.9 && cp m.onnx copy.onnx"),
        ("net.pt", "litert-torch==0.10.0"),
        ("lfs.pb", "git lfs pull"),
        ("photos.zip", "unpack it"),
    ],
)
def test_what_cannot_be_converted_is_told_with_the_way(saved: Path, name: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        recognise(saved / name)
    assert said in str(refused.value)


def test_a_folder_around_a_saved_model_is_told(saved: Path) -> None:
    with pytest.raises(Refused, match=r"the SavedModel is inside: .*/saved"):
        recognise(saved)


def test_a_graph_needs_a_checkpoint(saved: Path) -> None:
    with pytest.raises(Refused, match="--graph goes with the prefix of a checkpoint"):
        recognise(saved / "frozen.pb", saved / "graph.pbtxt")
    with pytest.raises(Refused, match="there is no such file"):
        recognise(saved / "bare/model-2", saved / "nothing.pb")


def test_the_checksum_covers_every_file(saved: Path) -> None:
    before = recognise(saved / "saved").sha256
    (saved / "saved/variables/variables.index").write_bytes(b"y")
    assert recognise(saved / "saved").sha256 != before
