"""Real models of every kind, through both runtimes: from a frame to findings."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from tflite_builder import Kind, Packed, build

from edged.errors import DriverError, ModelError
from edged.inference import model as models
from edged.inference.decoding.scores import ScoreDecoder
from edged.inference.model import Model, tag
from edged.inference.preprocess import Preparer
from edged.models import bundled, image_classifier, loaded_model, runtimes
from edged.models.labels import load
from edged.models.normalization import Normalization
from edged.models.runtimes import default_threads
from edged.models.spec import PictureInput
from edged.sources import Frame

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.events import Finding

RUNTIMES = list(runtimes.available())
COLUMNS = "\n".join(f"column {n}" for n in range(8))
UINT8, INT8 = Kind("uint8", 1 / 128, 127), Kind("int8", 1 / 128, 0)
UINT8_SCORES, INT8_SCORES = Kind("uint8", 1 / 256, 0), Kind("int8", 1 / 256, -128)


def open_model(file: Path, labels: Path | None = None, sha256: str | None = None, **keys: Any) -> Model:
    loaded = loaded_model.load(file, labels, sha256, inspect=image_classifier.spec)
    return models.open_model(loaded, **keys)


def _preparer(model: Model, **keys: Any) -> Preparer:
    assert isinstance(model.spec.input, PictureInput)
    return Preparer(model.spec.input, **keys)


def _classify(model: Model, pixels: np.ndarray, order: str = "bgr") -> Sequence[Finding]:
    tensor = _preparer(model).prepare(Frame(pixels, 0.0, order))
    return ScoreDecoder(model.spec, model.labels).decode(model.invoke(tensor), tensor)


def _photograph(path: Path) -> np.ndarray:
    pixels = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert pixels is not None
    return np.asarray(pixels, np.uint8)


@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(
    ("picture", "scores", "head"),
    [
        (Kind(), Kind(), "softmax"),
        (UINT8, UINT8_SCORES, "softmax"),
        (INT8, INT8_SCORES, "softmax"),
        (UINT8, UINT8, "none"),  # logits
        (INT8, INT8, "none"),
        (Kind(), Kind(), "layer"),
        (Kind(), Kind(), "none"),
        (UINT8, UINT8_SCORES, "sigmoid"),
        (Kind(), Kind(), "sigmoid"),
    ],
)
@pytest.mark.parametrize(
    ("shape", "axes"),
    [((1, 8, 8, 3), (1, 3)), ((8, 8, 3), (0, 2)), ((1, 8, 8), (1,)), ((1, 8, 8, 1), (1, 3))],
)
def test_every_kind_gives_the_right_label_and_scale(
    tmp_path: Path,
    name: str,
    *,
    picture: Kind,
    scores: Kind,
    head: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
) -> None:
    """Column 5 is white, the rest black: logits 1 and -1. What a score must be follows from that."""
    path = tmp_path / "columns.tflite"
    path.write_bytes(build(shape, axes, picture, scores, head=head, packed=Packed(COLUMNS)))
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, 5] = 255
    first, second, third = _classify(open_model(path, runtime=name, threads=1), pixels)
    if head == "sigmoid":
        high, low = 1 / (1 + np.exp(-1)), 1 / (1 + np.exp(1))
    else:
        high = np.e / (np.e + 7 / np.e)
        low = (1 - high) / 7
    assert first.label == "column 5"
    assert first.score == pytest.approx(high, abs=0.01)
    assert second.score == third.score == pytest.approx(low, abs=0.01)


@pytest.mark.parametrize("name", RUNTIMES)
def test_colours_arrive_in_the_right_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / "colours.tflite"
    for kind in (Kind(), UINT8, INT8):
        path.write_bytes(build((1, 8, 8, 3), (1, 2), kind, head="none", packed=Packed("red\ngreen\nblue")))
        model = open_model(path, runtime=name, threads=1)
        blue = np.zeros((48, 64, 3), np.uint8)
        blue[..., 0] = 255
        assert _classify(model, blue, "bgr")[0].label == "blue"
        assert _classify(model, blue, "rgb")[0].label == "red"


def test_the_metadata_decides_how_a_float_model_sees(tmp_path: Path) -> None:
    path = tmp_path / "colours.tflite"
    labels = "red\ngreen\nblue"
    path.write_bytes(
        build((1, 8, 8, 3), (1, 2), head="none", packed=Packed(labels, (0.0, 0.0, 0.0), (255.0, 255.0, 1.0)))
    )
    model = open_model(path, threads=1)
    grey = np.full((8, 8, 3), 51, np.uint8)
    (output,) = model.invoke(_preparer(model).prepare(Frame(grey, 0.0)))
    assert output[0].tolist() == pytest.approx([0.2, 0.2, 51.0])
    (output,) = model.invoke(
        _preparer(model, normalize=Normalization((1.0,), (10.0,))).prepare(Frame(grey, 0.0))
    )
    assert output[0].tolist() == pytest.approx([5.0, 5.0, 5.0])


@pytest.mark.realmodels
@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(
    ("photograph", "label"),
    [
        ("cat.bmp", "Egyptian cat"),
        ("parrot.jpg", "macaw"),
        ("grace_hopper.bmp", "military uniform"),
        ("hot_dog.jpg", "hotdog, hot dog, red hot"),
    ],
)
def test_mobilenet_names_photographs(testdata: Path, name: str, photograph: str, label: str) -> None:
    model = open_model(
        testdata / "models" / "mobilenet_v2_1.0_224_quant.tflite",
        testdata / "labels" / "imagenet_labels.txt",
        runtime=name,
    )
    best = _classify(model, _photograph(testdata / "images" / photograph))[0]
    assert best.label == label
    assert best.score > 0.7
    assert (model.tag.name, model.runtime_name) == ("mobilenet_v2_1.0_224_quant", name)


@pytest.mark.parametrize("name", RUNTIMES)
def test_the_bundled_model_names_the_bundled_photographs(name: str) -> None:
    model = open_model(bundled.MODEL, bundled.LABELS, bundled.MODEL_SHA256, runtime=name)
    photographs = sorted(bundled.PHOTOS.glob("*.jpg"))
    named = [_classify(model, _photograph(path))[0] for path in photographs]
    assert [finding.label for finding in named] == ["Egyptian cat", "espresso", "tripod"]
    assert all(finding.score >= bundled.THRESHOLD for finding in named)
    assert all(path.stat().st_size < 150_000 for path in photographs)


def test_the_bundled_labels_are_the_thousand_of_imagenet(testdata: Path) -> None:
    ours = load(bundled.LABELS).names
    theirs = load(testdata / "labels" / "imagenet_labels.txt").names[1:]
    assert len(set(ours)) == 1000
    assert ours[0] == "tench"
    different = [a for a, b in zip(ours, theirs, strict=True) if a != b.split(",")[0]]
    assert different == ["crane bird", "tank suit"]  # two names that would otherwise stand there twice
    assert hashlib.sha256(bundled.MODEL.read_bytes()).hexdigest() == bundled.MODEL_SHA256


@pytest.mark.realmodels
@pytest.mark.parametrize("name", RUNTIMES)
@pytest.mark.parametrize(
    ("photograph", "label"),
    [
        ("cat_1080p.jpg", "Egyptian cat"),
        ("parrot.jpg", "macaw"),
        ("sunflower.bmp", "daisy"),
        ("hot_dog.jpg", "hotdog"),
        ("grace_hopper.bmp", "military uniform"),
    ],
)
def test_the_bundled_model_names_photographs(testdata: Path, name: str, photograph: str, label: str) -> None:
    model = open_model(bundled.MODEL, bundled.LABELS, runtime=name)
    best = _classify(model, _photograph(testdata / "images" / photograph))[0]
    assert best.label == label
    assert best.score >= bundled.THRESHOLD


def test_the_output_is_the_callers_to_keep(tmp_path: Path) -> None:
    path = tmp_path / "columns.tflite"
    path.write_bytes(build(packed=Packed(COLUMNS)))
    model = open_model(path, threads=1)
    picture = np.zeros((1, 8, 8, 3), np.float32)
    picture[:, :, 1] = 9
    (first,) = model.invoke(picture)
    model.invoke(picture[:, :, ::-1].copy())
    assert first.argmax() == 1
    with pytest.raises(ModelError, match="columns: the runtime failed"):
        model.invoke(picture[:, :4].copy())


def test_a_closed_model_says_so(tmp_path: Path) -> None:
    path = tmp_path / "columns.tflite"
    path.write_bytes(build(packed=Packed(COLUMNS)))
    model = open_model(path, threads=1)
    model.close()
    model.close()
    with pytest.raises(ModelError, match="closed"):
        model.invoke(np.zeros((1, 8, 8, 3), np.float32))


def test_what_cannot_be_opened_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "porch.tflite"
    path.write_bytes(build(packed=Packed(COLUMNS)))
    with pytest.raises(ModelError, match=r"porch\.tflite: its sha256"):
        open_model(path, None, 64 * "0")
    with pytest.raises(DriverError, match="no runtime onnx"):
        open_model(path, runtime="onnx")
    # A whole file whose graph makes no sense to the runtimes: float weights for uint8.
    path.write_bytes(build(picture=UINT8, head="layer", packed=Packed(COLUMNS)))
    with pytest.raises(ModelError, match=r"porch\.tflite: the runtime refuses the model: "):
        open_model(path)


def test_the_tag_holds_no_folder_and_no_control_characters(tmp_path: Path) -> None:
    assert tag(tmp_path / "a\nb.tflite", "0123456789abcdef").name == "a?b"
    assert tag(tmp_path / ("x" * 200), "0123456789abcdef").name == "x" * 64
    assert tag(tmp_path, "0123456789abcdef").sha256 == "01234567"


def test_threads_are_bounded() -> None:
    assert 1 <= default_threads() <= 4
