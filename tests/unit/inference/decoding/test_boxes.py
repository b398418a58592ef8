"""Objects from the outputs of a detector: by arrays, by a small model, and on photographs."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import detector_model
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged import tasks
from edged.errors import ModelError
from edged.events import UNKNOWN, Detection
from edged.inference import model as models
from edged.inference.decoding.boxes import BoxDecoder, overlap
from edged.inference.preprocess import Preparer
from edged.models import loaded_model
from edged.models.object_detector import DetectorSpec
from edged.models.runtimes import available
from edged.models.spec import SampleSpec
from edged.models.tflite import file as tflite_file
from edged.pipeline.presence import placed
from edged.sources import Frame, photographs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.events import Finding

LABELS = ("cat", "dog")
DETECT = tasks.load("detect")
TF2 = (2, 0, 3, 1)  # the order of exports with TensorFlow 2.6 and later: scores, boxes, count, classes


def decoder(only: Sequence[str] = ()) -> BoxDecoder:
    return BoxDecoder(DetectorSpec(classes=2), LABELS, only)


def outputs(rows: Sequence[tuple[Sequence[float], float, float]], count: float | None = None) -> list[Any]:
    """Return what the operator gives for rows of (box, class, score)."""
    boxes = np.array([row[0] for row in rows], np.float32).reshape(1, -1, 4)
    classes, scores = (np.array([[row[n] for row in rows]], np.float32) for n in (1, 2))
    return [boxes, classes, scores, np.array([len(rows) if count is None else count], np.float32)]


def found(given: Sequence[Finding]) -> list[tuple[str, float]]:
    return [(finding.label, round(finding.score, 2)) for finding in given]


def test_boxes_are_left_top_right_bottom_and_stay_in_the_picture() -> None:
    (finding,) = decoder().decode(outputs([((-0.01, 0.2, 0.5, 1.01), 1, 0.8)]), None)
    assert isinstance(finding, Detection)
    assert finding.label == "dog"
    assert finding.box == pytest.approx((0.2, 0, 1, 0.5))


def test_a_second_box_of_one_thing_is_left_out_and_two_things_are_two() -> None:
    one, same, beside = (0.1, 0.1, 0.5, 0.5), (0.12, 0.1, 0.5, 0.52), (0.1, 0.6, 0.5, 1.0)
    rows = [(one, 0, 0.6), (same, 0, 0.9), (beside, 0, 0.5), (same, 1, 0.4)]
    assert found(decoder().decode(outputs(rows), None)) == [("cat", 0.9), ("cat", 0.5), ("dog", 0.4)]


def test_only_rows_that_count_and_labels_that_are_wanted_are_found() -> None:
    box = (0.0, 0.0, 0.5, 0.5)
    rows = [(box, 0, 0.9), (box, 1, 0.8), (box, 7, 0.7), (box, -1, 0.7), ((0.5, 0.5, 0.5, 0.9), 0, 0.6)]
    assert found(decoder().decode(outputs(rows), None)) == [("cat", 0.9), ("dog", 0.8)]
    assert found(decoder(["dog"]).decode(outputs(rows), None)) == [("dog", 0.8)]
    assert found(decoder().decode(outputs(rows, 1), None)) == [("cat", 0.9)]
    assert found(decoder().decode(outputs(rows, 0), None)) == [(UNKNOWN, 0.0)]


@pytest.mark.parametrize("part", range(4))
def test_what_is_not_a_number_is_not_nothing(part: int) -> None:
    given = outputs([((0, 0, 1, 1), 0, 0.9)])
    given[part] = given[part] * np.nan
    assert decoder().decode(given, None) == []


@given(
    st.lists(
        st.tuples(
            st.lists(st.floats(-1, 2, width=32), min_size=4, max_size=4),
            st.floats(-2, 4, width=32),
            st.floats(-1, 2, width=32),
        ),
        max_size=8,
    ),
    st.floats(-5, 50, width=32),
)
def test_whatever_a_model_gives_the_findings_are_in_bounds(
    rows: list[tuple[list[float], float, float]], count: float
) -> None:
    findings = decoder().decode(outputs(rows, count), None)
    scores = [finding.score for finding in findings]
    assert findings
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for finding in findings:
        if isinstance(finding, Detection):
            x0, y0, x1, y1 = finding.box
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1


def load(file: Path, labels: Path) -> loaded_model.LoadedModel:
    return loaded_model.load(file, labels, inspect=lambda model: DETECT.inspect(model, SampleSpec()))


def detect(
    loaded: loaded_model.LoadedModel, pixels: Any, fit: Any = "stretch", **keys: Any
) -> list[Detection]:
    """Return the objects in a picture, best first, in places of the whole picture."""
    runtime = keys.pop("runtime", "auto")
    model = models.open_model(loaded, runtime=runtime, threads=1)
    task = DETECT.create(DETECT.Config(), loaded.spec, loaded.labels)
    preparer = Preparer(loaded.spec.input, fit, **keys)
    tensor = preparer.prepare(Frame(pixels, 0, order="rgb"))
    findings = [
        placed(each, preparer.placement(tensor)) for each in task.decode(model.invoke(tensor), tensor)
    ]
    return [finding for finding in findings if isinstance(finding, Detection) and finding.score >= 0.5]


@pytest.mark.parametrize("order", [*list(itertools.permutations(range(4)))[::5], TF2])
def test_outputs_in_any_order_are_told_apart_by_the_operator(order: tuple[int, ...], tmp_path: Path) -> None:
    loaded = load(*detector_model.write(tmp_path, order))
    things = [("red", 1, 2), ("blue", 6, 5)]
    objects = detect(loaded, detector_model.picture(things))
    assert {finding.label for finding in objects} == {"red", "blue"}
    red = next(finding for finding in objects if finding.label == "red")
    assert red.box == pytest.approx((1 / 8, 2 / 8, 2 / 8, 3 / 8), abs=0.01)


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
@pytest.mark.parametrize(
    ("fit", "rotate"), list(itertools.product(["stretch", "letterbox"], [0, 90, 180, 270]))
)
def test_a_box_is_in_the_whole_picture_however_it_was_made_to_fit(
    fit: str, rotate: int, runtime: str, tmp_path: Path
) -> None:
    if not available().get(runtime):
        pytest.skip(f"{runtime} is not installed")
    loaded = load(*detector_model.write(tmp_path))
    upright = detector_model.picture([("green", 2, 4), ("green", 2, 5)], width=256, height=128)
    turned = np.ascontiguousarray(np.rot90(upright, rotate // 90))  # the camera hangs the other way
    boxes = np.array([each.box for each in detect(loaded, turned, fit, rotate=rotate, runtime=runtime)])
    around = (*boxes[:, :2].min(axis=0), *boxes[:, 2:].max(axis=0))
    assert len(boxes) == (2 if fit == "stretch" else 1)
    assert around == pytest.approx((2 / 8, 4 / 8, 3 / 8, 6 / 8), abs=0.01)


def test_a_box_is_in_the_whole_picture_also_where_a_part_of_it_is_used(tmp_path: Path) -> None:
    loaded = load(*detector_model.write(tmp_path))
    pixels = detector_model.picture([("green", 6, 6)], width=512, height=512)
    (green,) = detect(loaded, pixels, crop=(256, 256, 256, 256))[:1]
    x0, y0, x1, y1 = green.box
    assert 6 / 8 - 0.01 <= x0 < x1 <= 7 / 8 + 0.01
    assert 6 / 8 - 0.01 <= y0 < y1 <= 7 / 8 + 0.01
    wide = detector_model.picture([("green", 3, 6)], width=1024, height=512)
    (green,) = detect(loaded, wide, "crop")[:1]
    x0, y0, x1, y1 = green.box
    assert 3 / 8 - 0.01 <= x0 < x1 <= 4 / 8 + 0.01


def test_a_list_of_labels_may_begin_with_the_background(tmp_path: Path) -> None:
    model, labels = detector_model.write(tmp_path)
    labels.write_text("???\nred\ngreen\nblue\n")
    assert load(model, labels).labels == detector_model.LABELS
    labels.write_text("yellow\nred\ngreen\nblue\n")
    with pytest.raises(ModelError, match="4 labels do not fit the 3 classes"):
        load(model, labels)


# What the photographs show, with boxes as they were measured; not what the model sees in them wrongly.
PHOTOS = [
    ("cat.bmp", "cat", 0.72, (0.09, 0.13, 0.71, 0.98)),
    ("grace_hopper.bmp", "person", 0.71, (0.01, 0.05, 0.99, 0.99)),
    ("grace_hopper.bmp", "tie", 0.64, (0.44, 0.71, 0.56, 0.90)),
    ("parrot.jpg", "bird", 0.81, (0.17, 0.11, 0.93, 0.92)),
    ("hot_dog.jpg", "hot dog", 0.66, (0.25, 0.23, 0.95, 0.60)),
]


@pytest.mark.parametrize("runtime", ["litert", "tflite-runtime"])
@pytest.mark.parametrize("seen", PHOTOS, ids=lambda seen: f"{seen[1]} in {seen[0]}")
def test_what_photographs_show_is_found(
    seen: tuple[str, str, float, tuple[float, ...]], runtime: str, testdata: Path
) -> None:
    photo, label, score, box = seen
    if not available().get(runtime):
        pytest.skip(f"{runtime} is not installed")
    loaded = load(testdata / "models" / "ssd_mobilenet_v1.tflite", testdata / "labels" / "coco_labels.txt")
    pixels = photographs.read(testdata / "images" / photo).pixels[:, :, ::-1]
    objects = [each for each in detect(loaded, pixels, runtime=runtime) if each.label == label]
    assert objects, f"no {label} in {photo}"
    assert objects[0].score == pytest.approx(score, abs=0.11)  # which the runtimes differ by
    assert overlap(objects[0].box, box) >= 0.85


def test_a_twin_for_the_edge_tpu_has_the_same_last_step(tmp_path: Path) -> None:
    """The compiler leaves the operator behind its own, for the CPU."""
    twin = tmp_path / "things_edgetpu.tflite"
    twin.write_bytes(detector_model.detector((3, 0, 1, 2), compiled=True))
    spec = DETECT.inspect(tflite_file.read(twin, edgetpu=True), SampleSpec())
    assert isinstance(spec, DetectorSpec)
    assert (spec.parts, spec.classes, spec.background) == ((1, 2, 3, 0), 3, True)


def test_boxes_without_an_area_that_can_be_written_do_not_overlap() -> None:
    least = 1e-200
    assert overlap((0.0, 0.0, least, least), (0.0, 0.0, least, least)) == 0.0
