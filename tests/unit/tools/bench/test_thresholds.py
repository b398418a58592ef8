from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from edged.tools.bench import thresholds
from edged.tools.bench.thresholds import Said, applied, best, by_label, decision, effect, interval

SCORE = st.integers(1, 255).map(lambda step: step / 256)
SAID = st.builds(Said, st.sampled_from("ab"), st.sampled_from(["a", "b", "on"]), SCORE, st.booleans())


def said(*scores: float, right: bool = True, label: str = "cat") -> list[Said]:
    return [Said("cat", label, score, right) for score in scores]


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(8, 8, 0.676, 1), (0, 8, 0, 0.324), (7, 8, 0.529, 0.978), (50, 100, 0.404, 0.596)],
)
def test_an_interval_suits_small_samples(right: int, count: int, low: float, high: float) -> None:
    assert interval(right, count) == pytest.approx((low, high), abs=0.001)


@given(st.integers(1, 500), st.data())
def test_a_share_lies_in_its_interval(count: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, count))
    low, high = interval(right, count)
    assert 0 <= low <= right / count + 1e-9
    assert right / count - 1e-9 <= high <= 1


def test_a_label_is_told_with_what_it_is_taken_for() -> None:
    answers = [
        *said(0.9, 0.8),
        *said(0.7, right=False, label="dog"),
        *said(0.6, 0.5, right=False, label="fox"),
    ]
    assert by_label(answers) == {"cat": {"n": 5, "right": 2, "confused": {"fox": 2, "dog": 1}}}


def test_a_threshold_turns_some_decisions_into_unknown() -> None:
    answers = [*said(0.9, 0.6), *said(0.5, right=False)]
    assert effect(answers, 0.6) == {"threshold": 0.6, "right": 2, "wrong": 0, "unknown": 1}
    assert effect(answers, 0.7) == {"threshold": 0.7, "right": 1, "wrong": 0, "unknown": 2}


def test_the_best_threshold_lies_between_right_and_wrong() -> None:
    assert best([*said(0.9, 0.8, 0.6), *said(0.4, 0.3, right=False)]) == 0.5
    assert best(said(0.9, 0.5)) == 0.45  # nothing wrong limits it
    assert best(said(0.9, 0.5, right=False)) is None
    assert best([*said(0.603), *said(0.602, right=False)]) == 0.603


@given(st.lists(SAID, min_size=1, max_size=40))
def test_no_other_threshold_gains_more(answers: list[Said]) -> None:
    def gain(threshold: float) -> int:
        found = effect(answers, threshold)
        return int(found["right"] - found["wrong"])

    chosen = best(answers)
    most = max(gain(one.score) for one in answers)
    if chosen is None:
        assert most <= 0
    else:
        assert gain(chosen) == most
        block = decision(answers)
        done = applied(answers, block)
        assert done["right"] - done["wrong"] >= most
        assert sum(done.values()) == len(answers)
        assert yaml.safe_load(thresholds.line(block)) == {"decision": block}


def test_a_label_that_gains_by_it_gets_a_threshold_of_its_own() -> None:
    low = said(0.3, 0.3, 0.28, 0.27, 0.26, label="mouse, computer mouse")
    answers = [*said(*[0.9] * 8), *said(*[0.4] * 8, right=False), *low]
    block = decision(answers)
    assert block == {"threshold": 0.65, "labels": {"mouse, computer mouse": {"threshold": 0.23}}}
    line = 'decision: {threshold: 0.65, labels: {"mouse, computer mouse": {threshold: 0.23}}}'
    assert thresholds.line(block) == line
    assert applied(answers, block) == {"right": 13, "wrong": 0, "unknown": 8}


def test_what_no_label_fits_is_wrong_where_it_is_decided() -> None:
    strangers = [Said("unknown", "cat", score, right=False) for score in (0.7, 0.3)]
    answers = [*said(0.9, 0.8, 0.6), *strangers]
    assert by_label(answers)["unknown"] == {"n": 2, "right": None, "confused": {"cat": 2}}
    assert effect(answers, 0.5) == {"threshold": 0.5, "right": 3, "wrong": 1, "unknown": 1}
    assert best(answers) == 0.75


def test_a_report_is_json() -> None:
    told = thresholds.report([*said(0.9), *said(0.2, right=False)])
    assert json.loads(json.dumps(told)) == told
    assert told["decided"] == {"right": 1, "wrong": 0, "unknown": 1}
    assert thresholds.report(said(0.2, right=False))["decision"] is None
