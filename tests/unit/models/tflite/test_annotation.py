from __future__ import annotations

from typing import TYPE_CHECKING

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from tflite_builder import Packed, build

from edged.inference.runtime import open_interpreter
from edged.models import bundled
from edged.models.normalization import PRESETS, Normalization
from edged.models.tflite import annotation, operators
from edged.models.tflite.file import read
from edged.models.tflite.writer import Uncopied

if TYPE_CHECKING:
    from pathlib import Path


def answer(content: bytes, runtime: str) -> np.ndarray:
    interpreter = open_interpreter(content, runtime=runtime, threads=1)
    (given,) = interpreter.get_input_details()
    picture = np.random.default_rng(1).integers(0, 255, given["shape"]).astype(given["dtype"])
    interpreter.set_tensor(given["index"], picture)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
def test_a_model_with_metadata_answers_as_before(tmp_path: Path, runtime: str) -> None:
    pytest.importorskip("tflite_runtime" if runtime == "tflite-runtime" else "ai_edge_litert")
    plain = bundled.MODEL.read_bytes()
    names = [f"thing {number}" for number in range(1000)]
    written = annotation.annotate(plain, names, PRESETS["imagenet"])
    (tmp_path / "m.tflite").write_bytes(written)
    found = read(tmp_path / "m.tflite")
    assert found.labels is not None
    assert list(found.labels.names) == names
    assert found.normalization is not None
    assert found.normalization.mean == pytest.approx(PRESETS["imagenet"].mean)
    assert operators.read(written, "m") == operators.read(plain, "m")
    assert np.array_equal(answer(written, runtime), answer(plain, runtime))


def test_the_numbers_come_back(tmp_path: Path) -> None:
    for given in (Normalization((127.5,), (127.5,)), Normalization((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))):
        (tmp_path / "m.tflite").write_bytes(annotation.annotate(build(), [], given))
        assert read(tmp_path / "m.tflite").normalization == given
    assert annotation.annotate(build(), [], None) == build()
    assert annotation.annotate(build(), ["a"], None) == annotation.annotate(build(), ["a"], None)


def with_signatures(names: list[str]) -> bytes:
    """A model with signatures, and with a metadata entry of its own, as TensorFlow writes them."""
    model = schema.ModelT.InitFromPackedBuf(build(), 0)
    model.signatureDefs = []
    for name in names:
        signature, end = schema.SignatureDefT(), schema.TensorMapT()
        end.name, end.tensorIndex = name.encode(), model.subgraphs[0].outputs[0]
        signature.inputs, signature.outputs, signature.signatureKey = [], [end], b"serving_default"
        model.signatureDefs.append(signature)
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"min_runtime_version", 0
    model.metadata = [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.parametrize("names", [[], ["probabilities"]])
def test_signatures_and_other_metadata_stay(tmp_path: Path, names: list[str]) -> None:
    before, after = tmp_path / "before.tflite", tmp_path / "after.tflite"
    before.write_bytes(with_signatures(names))
    after.write_bytes(annotation.annotate(before.read_bytes(), ["x", "y"], PRESETS["0..1"]))
    assert read(after).output_names == read(before).output_names
    assert set(names) <= set(read(after).output_names[0])
    assert b"min_runtime_version" in after.read_bytes()
    assert read(after).normalization == PRESETS["0..1"]
    assert np.array_equal(answer(after.read_bytes(), "litert"), answer(before.read_bytes(), "litert"))


def test_metadata_is_not_written_twice() -> None:
    with pytest.raises(Uncopied, match="it has metadata already"):
        annotation.annotate(build(packed=Packed("a\nb\n")), ["a", "b"], None)
