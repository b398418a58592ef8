"""Models in every way that they want pixels: each is right of what its file tells, or when told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from probe_models import ADD, DIV, LEVELS, MUL, NAMES, SUB, Probe, build
from tflite_builder import Kind

from edged.config.model import ModelSection
from edged.inference import model as models
from edged.inference.decoding import scores
from edged.inference.preprocess import Preparer
from edged.models import image_classifier, loaded_model, normalization
from edged.sources import Frame

if TYPE_CHECKING:
    from pathlib import Path

RESCALED = [(MUL, (1 / 255,))]
IMAGENET = [(SUB, (0.485, 0.456, 0.406)), (DIV, (0.229, 0.224, 0.225))]
SPREAD = (-2.0, 2.4)  # of black and white behind it, about

KNOWN = {
    "rescaling": (Probe(steps=RESCALED), "0..255"),
    "rescaling-divided": (Probe(steps=[(DIV, (255.0,))]), "0..255"),
    "rescaling-to-minus-one": (Probe((-1, 1), [(MUL, (1 / 127.5,)), (ADD, (-1.0,))]), "0..255"),
    "rescaling-in-float16": (Probe(steps=RESCALED, half=True), "0..255"),
    "rescaling-and-normalisation": (Probe(SPREAD, RESCALED + IMAGENET), "0..255"),
    "mean-of-caffe": (Probe((-116.0, 139.0), [(SUB, (103.9, 116.8, 123.7))]), "0..255"),
    "normalisation": (Probe(SPREAD, IMAGENET), "0..1"),
    "twice-less-one": (Probe((-1, 1), [(MUL, (2.0,)), (SUB, (1.0,))]), "0..1"),
    "times-255": (Probe((0, 255), [(MUL, (255.0,))]), "0..1"),
    "from-minus-one": (Probe((0, 1), [(MUL, (0.5,)), (ADD, (0.5,))]), "-1..1"),
    "channels-first-rescaling": (Probe(steps=RESCALED, first=True), "0..255"),
    "float16-rescaling": (Probe(steps=RESCALED, given=Kind("float16")), "0..255"),
    "uint8-cast": (Probe(steps=RESCALED, given=Kind("uint8")), "0..255"),
    "int8-0-to-1": (Probe(given=Kind("int8", 1 / 255, -128)), "0..1"),
    "int8-not-so-bright": (Probe(given=Kind("int8", 0.95 / 255, -128)), "0..1"),
    "int8-minus-one": (Probe((-1, 1), given=Kind("int8", 1 / 127.5, 0)), "-1..1"),
    "int8-half": (Probe((-0.5, 0.5), given=Kind("int8", 1 / 255, 0)), "-0.5..0.5"),
    "int8-imagenet": (Probe((-2.118, 2.64), given=Kind("int8", 4.758 / 255, -14)), "imagenet"),
    "int16-0-to-255": (Probe((0, 255), given=Kind("int16", 255 / 32767)), "0..255"),
}
TOLD = {
    "0..1": (Probe(), "0..1"),
    "-1..1": (Probe((-1, 1)), "-1..1"),
    "0..255": (Probe((0, 255)), "0..255"),
    "none": (Probe((0, 255)), "0..255"),
    "int16-0-to-1": (Probe(given=Kind("int16", 1 / 32767)), "0..1"),
    "float16-0-to-1": (Probe(given=Kind("float16")), "0..1"),
}


def _answers(tmp_path: Path, content: bytes, **keys: Any) -> tuple[list[str], normalization.InputValues]:
    path, names = tmp_path / "m.tflite", tmp_path / "labels.txt"
    path.write_bytes(content)
    names.write_text("\n".join(keys.pop("labels", NAMES)))
    section = ModelSection.model_validate(keys)
    loaded = loaded_model.load(path, names, inspect=image_classifier.spec, output=section.output)
    model = models.open_model(loaded, threads=1)
    picture = image_classifier.picture_input(loaded.file)
    preparer = Preparer(picture, normalize=section.normalization, order=section.order)
    decoder = scores.decoder(loaded.spec, loaded.labels, 1)
    found = []
    for level in LEVELS.values():
        tensor = preparer.prepare(Frame(np.full((32, 32, 3), level, np.uint8), 0.0))
        (best,) = decoder.decode(model.invoke(tensor), tensor)
        found.append(best.label if best.score > 0.9 else f"{best.label}?")
    return found, normalization.of_input(picture, section.normalization, section.order)


@pytest.mark.parametrize("name", KNOWN)
def test_what_the_file_tells_is_found_out(tmp_path: Path, name: str) -> None:
    probe, shown = KNOWN[name]
    found, values = _answers(tmp_path, build(probe))
    assert (found, values.shown) == (list(NAMES), shown)
    assert values.origin != "assumed"


@pytest.mark.parametrize("name", TOLD)
def test_what_the_file_does_not_tell_can_be_said(tmp_path: Path, name: str) -> None:
    probe, preset = TOLD[name]
    content = build(probe)
    found, values = _answers(tmp_path, content, normalize=preset)
    assert (found, values.origin) == (list(NAMES), "configuration")
    _, values = _answers(tmp_path, content)
    assert values.origin == "assumed"
    assert "write model.normalize" in normalization.remark("m", values)


def test_pictures_of_pytorch_are_assumed_to_be_0_to_1(tmp_path: Path) -> None:
    found, values = _answers(tmp_path, build(Probe(first=True)))
    assert (found, values.shown, values.origin) == (list(NAMES), "0..1", "assumed")


def test_one_sigmoid_is_two_labels(tmp_path: Path) -> None:
    probe = Probe(steps=RESCALED, head="sigmoid")
    found, _ = _answers(tmp_path, build(probe), labels=("dark", "bright"))
    assert (found[0], found[2]) == ("dark", "bright")
    quantised = Probe(steps=RESCALED, head="sigmoid", scores=Kind("uint8", 1 / 256))
    assert _answers(tmp_path, build(quantised), labels=("dark", "bright"))[0][::2] == ["dark", "bright"]


@pytest.mark.parametrize("scores_kind", [Kind("int16", 1 / 32767), Kind("int8", 1 / 256, -128)])
def test_quantised_scores_of_every_size_are_read(tmp_path: Path, scores_kind: Kind) -> None:
    assert _answers(tmp_path, build(Probe(steps=RESCALED, scores=scores_kind)))[0] == list(NAMES)


@pytest.mark.parametrize("output", ["scores", 1, "1"])
def test_one_of_several_outputs_is_chosen(tmp_path: Path, output: str | int) -> None:
    content = build(Probe(steps=RESCALED, outputs=("features", "scores")))
    assert _answers(tmp_path, content, output=output)[0] == list(NAMES)


def test_several_outputs_are_named_where_none_is_chosen(tmp_path: Path) -> None:
    from edged.errors import ModelError

    content = build(Probe(steps=RESCALED, outputs=("features", "scores")))
    for output in (None, "nosuch", 2):
        with pytest.raises(ModelError, match=r"0 \(mean: 1 x 3\) or 1 \(scores: 1 x 3\)"):
            _answers(tmp_path, content, output=output)


def test_a_batch_that_is_left_open_is_one(tmp_path: Path) -> None:
    assert _answers(tmp_path, build(Probe(steps=RESCALED, batch=-1)))[0] == list(NAMES)


def test_numbers_for_each_colour_are_for_red_green_and_blue() -> None:
    section = ModelSection.model_validate({"normalize": {"mean": [1, 2, 3], "std": 2}, "channels": "bgr"})
    tensor = image_classifier.PictureInput(16, 16, 3, _float())
    values = normalization.of_input(tensor, section.normalization, section.order)
    assert (values.mean, values.std, values.order) == ((3.0, 2.0, 1.0), (2.0,), "bgr")
    pixels = np.full((16, 16, 3), (10, 20, 30), np.uint8)  # blue, green, red
    prepared = Preparer(tensor, normalize=section.normalization, order=section.order).prepare(
        Frame(pixels, 0.0)
    )
    assert prepared[0, 0, 0].tolist() == [(10 - 3) / 2, (20 - 2) / 2, (30 - 1) / 2]


def test_caffe_means_blue_first_and_its_mean() -> None:
    section = ModelSection.model_validate({"normalize": "caffe"})
    tensor = image_classifier.PictureInput(16, 16, 3, _float())
    pixels = np.full((16, 16, 3), (104, 117, 124), np.uint8)
    prepared = Preparer(tensor, normalize=section.normalization, order=section.order).prepare(
        Frame(pixels, 0.0)
    )
    assert np.abs(prepared).max() < 0.4


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("first", [False, True])
def test_half_floats_and_planes_hold_the_same_values(dtype: str, *, first: bool) -> None:
    shape = (1, 3, 16, 16) if first else (1, 16, 16, 3)
    spec = image_classifier.PictureInput(16, 16, 3, _float(dtype, shape), channels_first=first)
    given = normalization.PRESETS["imagenet"]
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    tensor = Preparer(spec, normalize=given).prepare(Frame(pixels, 0.0, "rgb"))
    assert (tensor.dtype, tensor.shape) == (np.dtype(dtype), shape)
    expected = (pixels - np.array(given.mean)) / np.array(given.std)
    got = tensor[0].transpose(1, 2, 0) if first else tensor[0]
    assert np.abs(got.astype(float) - expected).max() < 0.01


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_planes_of_whole_pixels(dtype: str, order: Any) -> None:
    tensor = replace(_float(dtype, (1, 3, 16, 16)), scale=1 / 255, zero_point=0 if dtype == "uint8" else -128)
    spec = image_classifier.PictureInput(16, 16, 3, tensor, channels_first=True)
    pixels = np.random.default_rng(1).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    prepared = Preparer(spec, order=order).prepare(Frame(pixels, 0.0, order))
    stored = prepared[0].transpose(1, 2, 0).astype(int) + (0 if dtype == "uint8" else 128)
    assert (stored == pixels).all()


def test_none_is_whole_pixels_for_a_quantised_input_of_any_range() -> None:
    section = ModelSection.model_validate({"normalize": "none"})
    tensor = replace(_float("uint8"), scale=0.001, zero_point=7)
    spec = image_classifier.PictureInput(16, 16, 3, tensor)
    prepared = Preparer(spec, normalize=section.normalization).prepare(_grey(99))
    assert set(prepared.reshape(-1).tolist()) == {99}


def _grey(level: int) -> Frame:
    return Frame(np.full((16, 16, 3), level, np.uint8), 0.0)


def _float(dtype: str = "float32", shape: tuple[int, ...] = (1, 16, 16, 3)) -> Any:
    from edged.models.tensor import Tensor

    return Tensor("picture", shape, dtype)


CASES = {
    "float_rescaling_inside": {},
    "float_rescale_normalise_inside": {},
    "float_01": {"normalize": "0..1"},
    "good_uint8": {},
    "nchw": {},
    "two_outputs": {"output": "scores"},
    "names_in_appended_json": {},
}


@pytest.mark.realmodels
@pytest.mark.parametrize("name", CASES)
def test_the_models_of_reports_are_right(testdata: Path, name: str) -> None:
    folder = testdata.parent / "cases"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    section = ModelSection.model_validate(CASES[name])
    labels = None if name == "names_in_appended_json" else folder / "models" / "labels3.txt"
    file = folder / "models" / f"{name}.tflite"
    loaded = loaded_model.load(file, labels, inspect=image_classifier.spec, output=section.output)
    model = models.open_model(loaded, threads=1)
    preparer = Preparer(
        image_classifier.picture_input(loaded.file), normalize=section.normalization, order=section.order
    )
    decoder = scores.decoder(loaded.spec, loaded.labels, 1)
    for label in NAMES:
        pixels = cv2.imread(str(folder / "pictures" / f"{label}.png"))
        tensor = preparer.prepare(Frame(np.asarray(pixels, np.uint8), 0.0))
        (best,) = decoder.decode(model.invoke(tensor), tensor)
        assert (best.label, best.score > 0.98) == (label, True)
