from __future__ import annotations

import contextlib
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tflite_builder import Kind, Layer, build, stack

from edged.errors import ModelError
from edged.inference.head import scaled
from edged.inference.preprocess import Preparer
from edged.inference.runtime import open_interpreter
from edged.models import bundled, image_classifier, runtimes
from edged.models.tflite import embedding
from edged.models.tflite.file import read
from edged.sources import Frame, photographs

if TYPE_CHECKING:
    from pathlib import Path

    from edged.models.tflite.file import ModelFile

WIDE = np.random.default_rng(1).normal(0, 1, (16, 12))
LAST = np.random.default_rng(2).normal(0, 1, (3, 16))
CLASSIFIER = stack(
    (1, 12),
    Kind(),
    [Layer(WIDE, np.arange(16.0), Kind(), relu=True), Layer(LAST, np.zeros(3), Kind())],
    softmax=Kind(),
)


def model(folder: Path, content: bytes, name: str = "m.tflite") -> ModelFile:
    (folder / name).write_bytes(content)
    return read(folder / name)


def answer(content: bytes, given: np.ndarray, runtime: str = "litert") -> np.ndarray:
    interpreter = open_interpreter(content, runtime=runtime, threads=1)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def preserved(content: bytes, given: np.ndarray, tensor: str) -> np.ndarray:
    """The value of an inner tensor, as LiteRT's debugging switch shows it."""
    from ai_edge_litert.interpreter import Interpreter

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        interpreter: Any = Interpreter(model_content=content, experimental_preserve_all_tensors=True)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given)
    interpreter.invoke()
    (index,) = [d["index"] for d in interpreter.get_tensor_details() if d["name"] == tensor]
    return np.asarray(interpreter.get_tensor(index))


def test_a_classifier_is_cut_before_its_last_layer(tmp_path: Path) -> None:
    cut = embedding.cut(model(tmp_path, CLASSIFIER))
    assert cut is not None
    features = model(tmp_path, cut, "cut.tflite")
    assert (features.outputs[0].shape, features.inputs[0].shape) == ((1, 16), (1, 12))
    assert len(cut) < len(CLASSIFIER)
    row = np.linspace(-1, 1, 12, dtype=np.float32).reshape(1, 12)
    expected = np.maximum(row @ WIDE.T.astype(np.float32) + np.arange(16.0), 0)
    for runtime in runtimes.available():
        assert answer(cut, row, runtime) == pytest.approx(expected, abs=1e-5)


def test_the_bundled_classifier_gives_the_very_features_that_it_computes_inside(tmp_path: Path) -> None:
    whole = read(bundled.MODEL)
    cut = embedding.cut(whole)
    assert cut is not None
    features = model(tmp_path, cut)
    assert features.outputs[0].sides == (1280,)
    assert len(cut) < 0.8 * len(whole.content)
    picture = np.random.default_rng(0).integers(0, 256, whole.inputs[0].shape, np.uint8)
    inside = preserved(bytes(whole.content), picture, features.outputs[0].name)
    assert np.array_equal(answer(cut, picture), inside)


def test_both_runtimes_run_the_bundled_features(tmp_path: Path) -> None:
    cut = embedding.cut(read(bundled.MODEL))
    assert cut is not None
    photograph = photographs.read(bundled.PHOTO)
    takes = image_classifier.picture_input(model(tmp_path, cut))
    picture = Preparer(takes).prepare(Frame(photograph.pixels, 0.0))
    rows = [answer(cut, picture, runtime).astype(float).reshape(-1) for runtime in runtimes.available()]
    for row in rows:
        assert scaled(row + 128) @ scaled(rows[0] + 128) > 0.99


def test_an_embedding_extractor_stays_as_it_is(tmp_path: Path) -> None:
    assert embedding.cut(model(tmp_path, build(head="none"))) is None


def test_a_softmax_alone_is_taken_off(tmp_path: Path) -> None:
    cut = embedding.cut(model(tmp_path, build(head="softmax")))
    assert cut is not None
    assert model(tmp_path, cut, "cut.tflite").outputs[0].name == "mean"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (build(axes=(3,), head="none"), "not one row of at least 8 features"),
        (build(shape=(1, 4, 4, 3), axes=(1, 3), head="none"), "not one row of at least 8 features"),
        (build(outputs=2), "it has 2 outputs, so it is not a classifier"),
    ],
    ids=["map", "few", "outputs"],
)
def test_what_has_no_row_of_features_is_refused_by_name(tmp_path: Path, content: bytes, why: str) -> None:
    with pytest.raises(ModelError, match=why) as caught:
        embedding.cut(model(tmp_path, content))
    assert str(caught.value).startswith(f"{tmp_path / 'm.tflite'}: ")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.integers(8, len(CLASSIFIER) - 1), st.integers(1, 255))
def test_a_file_that_was_tampered_with_is_cut_or_refused(tmp_path: Path, at: int, turned: int) -> None:
    content = bytearray(CLASSIFIER)
    content[at] ^= turned
    try:
        cut = embedding.cut(model(tmp_path, bytes(content)))
    except ModelError:
        return
    if cut is not None:
        assert len(cut) <= 2 * len(content) + 4096
        with contextlib.suppress(ModelError):  # what was odd before may stay odd; nothing else may go wrong
            model(tmp_path, cut, "cut.tflite")


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("mobilenet_v1_0.25_128_quant", 256),
        ("mobilenet_v2_1.0_224_quant", 1280),
        ("mobilenet_v1_1.0_224_quant_embedding_extractor", 1024),
    ],
)
def test_real_classifiers_are_cut_bit_by_bit(
    testdata: Path, tmp_path: Path, name: str, features: int
) -> None:
    whole = read(testdata / "models" / f"{name}.tflite")
    cut = embedding.cut(whole)
    if cut is None:
        assert whole.outputs[0].sides == (features,)
        return
    found = model(tmp_path, cut).outputs[0]
    assert found.sides == (features,)
    picture = np.random.default_rng(0).integers(0, 256, whole.inputs[0].shape, np.uint8)
    assert np.array_equal(answer(cut, picture), preserved(bytes(whole.content), picture, found.name))
