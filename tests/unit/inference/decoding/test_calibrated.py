from __future__ import annotations

import math

import numpy as np
import pytest

from edged.errors import ModelError
from edged.inference.decoding import scores
from edged.inference.decoding.calibrated import CalibratedDecoder
from edged.models.calibration import Calibration, Transformation
from edged.models.spec import Spec
from edged.models.tensor import Tensor

ROWS = ((0.9, 2.0, -1.0, -math.inf), None, (1.0, 5.0, 0.0, 0.3))
GIVEN = (0.5, 0.4, 0.1)
FUNCTIONS = {
    "identity": lambda s: s,
    "log": math.log,
    "inverse-logistic": lambda s: math.log(s) - math.log(1 - s),
}


def _decoder(transformation: Transformation, output: Tensor | None = None) -> CalibratedDecoder:
    output = output or Tensor("scores", (1, 3), "float32")
    calibration = Calibration(transformation, 0.125, ROWS)
    found = scores.decoder(Spec(outputs=(output,), classes=3, calibration=calibration), ("a", "b", "c"))
    assert isinstance(found, CalibratedDecoder)
    return found


@pytest.mark.parametrize("transformation", FUNCTIONS)
def test_a_score_goes_through_the_sigmoid_of_its_class(transformation: Transformation) -> None:
    findings = _decoder(transformation).decode([np.array([GIVEN], np.float32)], None)
    found = {finding.label: finding.score for finding in findings}
    assert found["a"] == pytest.approx(0.9 / (1 + math.exp(-(2.0 * FUNCTIONS[transformation](0.5) - 1.0))))
    assert (found["b"], found["c"]) == (0.125, 0.125)  # without parameters, and below the lowest score
    assert [finding.score for finding in findings] == sorted(found.values(), reverse=True)


def test_stored_scores_are_made_real_first() -> None:
    stored = Tensor("scores", (1, 3), "uint8", 1 / 256, 0)
    real = _decoder("identity").decode([np.array([[0.5, 0.25, 0.5]], np.float32)], None)
    assert _decoder("identity", stored).decode([np.array([[128, 64, 128]], np.uint8)], None) == real


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_no_score_leaves_0_to_1(value: float) -> None:
    for transformation in FUNCTIONS:
        findings = _decoder(transformation).decode([np.full((1, 3), value, np.float32)], None)  # type: ignore[arg-type] # one of the three
        assert all(0 <= finding.score <= 1 for finding in findings)


def test_what_is_no_number_gives_nothing_and_another_count_is_refused() -> None:
    assert list(_decoder("log").decode([np.array([[np.nan, 0, 0]], np.float32)], None)) == []
    output = Tensor("scores", (1, 2), "float32")
    with pytest.raises(ModelError, match="calibrated for 3 classes, but the model has 2"):
        CalibratedDecoder(Spec(outputs=(output,), classes=2), Calibration("log", 0.0, ROWS), ("a", "b"))
