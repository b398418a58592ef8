from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import detector_model
import pytest

from edged.errors import ModelError
from edged.models import object_detector
from edged.models.label_text import LabelList
from edged.models.tensor import Tensor
from edged.models.tflite import detection
from edged.models.tflite import file as tflite_file
from edged.models.tflite.graph import CUSTOM
from edged.models.tflite.step import Operator

if TYPE_CHECKING:
    from pathlib import Path

TENSORS = [Tensor(str(n), (1, 64, 4), "float32") for n in range(12)]
LAST = Operator(CUSTOM, (0, 1, 2), (3, 4, 5, 6), detection.DETECTION_OP, detector_model.last_options(3))
RESHAPE, CAST, ADD = 22, 53, 0


def test_an_output_that_only_repeats_a_part_is_that_part() -> None:
    steps = [LAST, Operator(RESHAPE, (3,), (7,)), Operator(CAST, (4,), (8,)), Operator(RESHAPE, (8,), (9,))]
    found = detection.find(steps, TENSORS, [9, 5, 7, 6])
    assert found == detection.DetectionStep((2, 0, 1, 3), 3, background=True)


def test_what_is_computed_from_a_part_is_not_that_part() -> None:
    steps = [LAST, Operator(ADD, (3, 3), (7,))]
    assert detection.find(steps, TENSORS, [7, 4, 5, 6]) is None
    assert detection.find(steps, TENSORS, [3, 4, 5]) is None, "the count is missing"
    assert detection.find([replace(LAST, outputs=(3, 4))], TENSORS, [3, 4]) is None
    assert detection.find([replace(LAST, name="Other")], TENSORS, [3, 4, 5, 6]) is None


def test_steps_in_a_circle_do_not_hang() -> None:
    steps = [LAST, Operator(RESHAPE, (8,), (7,)), Operator(RESHAPE, (7,), (8,))]
    assert detection.find(steps, TENSORS, [7, 4, 5, 6]) is None


def test_a_detector_whose_outputs_are_unknown_is_refused(tmp_path: Path) -> None:
    model, _ = detector_model.write(tmp_path)
    file = tflite_file.read(model)
    with pytest.raises(ModelError, match="is not its last step"):
        object_detector.spec(replace(file, detection=None))
    with pytest.raises(ModelError, match="needs all of its outputs"):
        object_detector.spec(file.with_output(0))
    with pytest.raises(ModelError, match="is not float32"):
        object_detector.spec(
            replace(file, outputs=(replace(file.outputs[0], dtype="uint8"), *file.outputs[1:]))
        )


def test_without_a_number_of_classes_the_labels_inside_tell_it(tmp_path: Path) -> None:
    model, _ = detector_model.write(tmp_path)
    file = tflite_file.read(model)
    step = detection.DetectionStep((0, 1, 2, 3), 0, background=False)
    with pytest.raises(ModelError, match="does not tell how many classes"):
        object_detector.spec(replace(file, detection=step))
    packed = replace(file, detection=step, labels=LabelList(("a", "b")))
    assert object_detector.spec(packed).classes == 2
