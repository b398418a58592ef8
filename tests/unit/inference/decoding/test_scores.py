from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edged.inference.decoding.scores import MultiLabelDecoder, ScoreDecoder
from edged.models.spec import Spec
from edged.models.tensor import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.events import Finding

LABELS = [f"class {n}" for n in range(1001)]


def _task(
    classes: int = 4,
    dtype: str = "float32",
    scale: float = 0.0,
    zero_point: int = 0,
    *,
    last_step: str = "",
    top_k: int = 3,
) -> ScoreDecoder:
    output = Tensor("scores", (1, classes), dtype, scale, zero_point)
    return ScoreDecoder(
        Spec(outputs=(output,), classes=classes, last_step=last_step), LABELS[:classes], top_k
    )


def _decode(task: ScoreDecoder, output: np.ndarray) -> Sequence[Finding]:
    return task.decode([output[None]], None)


def _scores(task: ScoreDecoder, values: list[float], dtype: str = "float32") -> list[tuple[str, float]]:
    return [(f.label, pytest.approx(f.score, abs=1e-4)) for f in _decode(task, np.array(values, dtype))]


SOFTMAX = [float(x) for x in np.exp([1, 4, 2, 3]) / np.exp([1, 4, 2, 3]).sum()]


@pytest.mark.parametrize("last_step", ["", "softmax", "layer"])
def test_probabilities_are_never_softmaxed_again(last_step: str) -> None:
    assert _scores(_task(last_step=last_step), SOFTMAX) == [
        ("class 1", SOFTMAX[1]),
        ("class 3", SOFTMAX[3]),
        ("class 2", SOFTMAX[2]),
    ]


@pytest.mark.parametrize("last_step", ["", "layer"])
@pytest.mark.parametrize("shift", [0.0, -50.0, 1e4])
def test_logits_become_probabilities(last_step: str, shift: float) -> None:
    values = [x + shift for x in (1, 4, 2, 3)]
    assert _scores(_task(last_step=last_step), values)[0] == ("class 1", SOFTMAX[1])


def test_logits_that_happen_to_lie_in_0_1_are_logits_after_a_plain_layer() -> None:
    values = [0.1, 0.9, 0.2, 0.3]
    assert _scores(_task(last_step="layer"), values)[0][1] == np.exp(0.9) / np.exp(values).sum()
    # Where nothing tells, they are taken for what a sigmoid gives: independent answers.
    assert _scores(_task(), values)[0] == ("class 1", 0.9)
    assert _scores(_task(last_step="sigmoid"), values)[0] == ("class 1", 0.9)


def test_quantised_probabilities_are_known_by_their_range_not_by_their_sum() -> None:
    unsure = [2, 3, 2, 2]  # of 256: rounding has eaten nearly everything
    assert _scores(_task(dtype="uint8", scale=1 / 256), unsure, "uint8")[0] == ("class 1", 3 / 256)
    task = _task(dtype="int8", scale=1 / 256, zero_point=-128)
    assert _scores(task, [-126, -125, -126, -128], "int8")[0] == ("class 1", 3 / 256)
    assert _scores(_task(dtype="uint8", scale=1 / 255), [0, 255, 0, 0], "uint8")[0] == ("class 1", 1.0)


def test_quantised_logits_are_dequantised_then_softmaxed() -> None:
    stored = [int(x / 0.1) + 100 for x in (1, 4, 2, 3)]
    task = _task(dtype="uint8", scale=0.1, zero_point=100)
    assert [score for _, score in _scores(task, stored, "uint8")] == [SOFTMAX[1], SOFTMAX[3], SOFTMAX[2]]
    task = _task(dtype="int8", scale=0.1, zero_point=-5)
    assert _scores(task, [x - 105 for x in stored], "int8")[0] == ("class 1", SOFTMAX[1])
    # A softmax whose scale allows more than 1 is still one.
    task = _task(dtype="uint8", scale=0.01, last_step="softmax")
    assert _scores(task, [0, 90, 10, 0], "uint8")[0] == ("class 1", 0.9)


@pytest.mark.parametrize(
    "values",
    [
        [np.nan, 1, 2, 3],
        [1, 2, 3, np.nan],
        [np.inf, 1, 2, 3],
        [np.nan] * 4,
        [-np.inf] * 4,
        [np.inf, np.nan, 0, 0],
    ],
)
def test_what_is_no_number_finds_nothing(values: list[float]) -> None:
    assert list(_decode(_task(), np.array(values, np.float32))) == []
    assert list(_decode(_task(last_step="softmax"), np.array(values, np.float32))) == []


def test_a_class_that_is_ruled_out_is_no_harm() -> None:
    findings = _decode(_task(), np.array([-np.inf, 4, -np.inf, -np.inf], np.float32))
    assert [(f.label, f.score) for f in findings] == [("class 1", 1.0)]


def test_the_lower_class_comes_first_among_equals() -> None:
    task = _task(dtype="uint8", scale=1 / 256)
    assert [f.label for f in _decode(task, np.array([0, 9, 0, 9], np.uint8))] == [
        "class 1",
        "class 3",
        "class 0",
    ]


def test_top_k() -> None:
    values = np.array(SOFTMAX, np.float32)
    assert len(_decode(_task(top_k=1), values)) == 1
    assert len(_decode(_task(top_k=10), values)) == 4


@given(
    arrays.arrays(np.float32, 7, elements=st.floats(width=32)),
    st.sampled_from(["", "layer", "softmax", "sigmoid"]),
)
def test_floats_give_ordered_scores_between_0_and_1_or_nothing(output: np.ndarray, last_step: str) -> None:
    findings = _decode(_task(7, last_step=last_step), output)
    scores = [f.score for f in findings]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert bool(findings) == bool(np.isfinite(output.max()))
    if findings:
        assert findings[0].label == LABELS[int(output.argmax())]
    assert list(_decode(_task(7, last_step=last_step), output)) == list(findings)


@given(
    data=st.data(),
    dtype=st.sampled_from(["uint8", "int8"]),
    scale=st.floats(1e-6, 100),
    zero_point=st.integers(-128, 255),
)
def test_stored_values_give_ordered_scores_between_0_and_1(
    data: st.DataObject, dtype: str, scale: float, zero_point: int
) -> None:
    output = data.draw(arrays.arrays(dtype, 9))
    findings = _decode(_task(9, dtype, scale, zero_point), output)
    scores = [f.score for f in findings]
    assert len(scores) == 3
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert len({f.label for f in findings}) == 3


def test_takes_microseconds() -> None:
    rng = np.random.default_rng(1)
    quantised = rng.integers(0, 256, 1001).astype(np.uint8)
    floats = rng.normal(size=1001).astype(np.float32)
    for task, output in (
        (_task(1001, "uint8", 1 / 256), quantised),
        (_task(1001, "uint8", 0.1, 100), quantised),
        (_task(1001), floats),
    ):
        best = 1.0
        for _ in range(200):
            started = time.perf_counter()
            _decode(task, output)
            best = min(best, time.perf_counter() - started)
        print(task, round(best * 1e6, 1), "us")
        assert best < 200e-6


def several(output: Tensor, last_step: str, values: list[float]) -> list[tuple[str, float]]:
    spec = Spec(outputs=(output,), classes=len(values), last_step=last_step)
    task = MultiLabelDecoder(spec, "abcd"[: len(values)])
    found = task.decode([np.array([values], output.dtype)], None)
    return [(finding.label, round(finding.score, 3)) for finding in found]


def test_of_several_labels_each_has_a_score_of_its_own() -> None:
    output = Tensor("s", (1, 3), "float32")
    assert several(output, "sigmoid", [0.2, 0.9, 0.005]) == [("b", 0.9), ("a", 0.2)]
    assert several(output, "layer", [0.0, 2.0, -9.0]) == [("b", 0.881), ("a", 0.5)]
    assert several(output, "", [0.0, 2.0, -9.0]) == [("b", 0.881), ("a", 0.5)]
    assert several(output, "sigmoid", [0.0, 0.0, 0.0]) == [("unknown", 0.0)]
    assert several(output, "sigmoid", [0.5, float("nan"), 0.0]) == []
    stored = Tensor("s", (1, 3), "uint8", 1 / 256)
    assert several(stored, "sigmoid", [64, 128, 0]) == [("b", 0.5), ("a", 0.25)]
    logits = Tensor("s", (1, 3), "int8", 0.1)
    assert several(logits, "", [0, 20, -90]) == [("b", 0.881), ("a", 0.5)]
