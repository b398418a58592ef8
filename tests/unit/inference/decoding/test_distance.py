from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edged.inference.decoding import distance
from edged.models.spec import Spec, WindowInput
from edged.models.tensor import Tensor
from edged.pipeline.decision import Decision, Rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.events import Finding

WINDOWS = arrays(np.float32, (4, 2), elements=st.floats(-1e6, 1e6, width=32))


class Reconstruction:
    """An autoencoder of floats, whose output the test makes."""

    def __init__(self, limit: float) -> None:
        floats = Tensor("window", (1, 4, 2), "float32")
        self._task = distance.Reconstruction("anomaly", limit, Spec(WindowInput(4, 2, floats), (floats,)))

    def decode(self, window: np.ndarray, rebuilt: np.ndarray) -> Sequence[Finding]:
        return self._task.decode([rebuilt], window)


class RobustZ:
    """Windows alone, of which none is too early to judge in the eyes of these tests."""

    def __init__(self, limit: float, history: int) -> None:
        self._task = distance.RobustZ("anomaly", limit, history, least_history=8)

    def decode(self, window: np.ndarray) -> Sequence[Finding]:
        return self._task.decode((), window) or []


def windows(count: int, *, mean: float = 0.0, seed: int = 1) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(mean, 1, (32, 2)).astype(np.float32) for _ in range(count)]


def test_half_at_the_limit() -> None:
    task = Reconstruction(limit=4.0)
    window = np.zeros((3, 2), np.float32)
    (finding,) = task.decode(window, np.full((1, 6), 2.0, np.float32))
    assert (finding.label, finding.score) == ("anomaly", pytest.approx(0.5))
    assert task.decode(window, window)[0].score == 0


@given(WINDOWS, WINDOWS, st.floats(1e-3, 1e3))
def test_a_score_is_one(window: np.ndarray, rebuilt: np.ndarray, limit: float) -> None:
    (finding,) = Reconstruction(limit).decode(window, rebuilt)
    assert 0 <= finding.score <= 1
    better = (window.astype(np.float64) + rebuilt) / 2
    assert Reconstruction(limit).decode(window, better)[0].score <= finding.score + 1e-9


def test_a_model_that_gives_no_numbers_finds_nothing() -> None:
    window = np.zeros((2, 1), np.float32)
    assert Reconstruction(1).decode(window, np.full((2, 1), np.nan)) == []
    assert Reconstruction(1).decode(window, np.full((2, 1), np.inf))[0].score == 1
    assert RobustZ(1, 10).decode(np.full((2, 1), np.nan)) == []


def test_without_a_history_there_is_no_judgement() -> None:
    task = RobustZ(3.5, 50)
    assert [len(task.decode(window)) for window in windows(10)] == [0] * 8 + [1] * 2


def test_the_usual_scores_low_and_the_odd_high() -> None:
    task = RobustZ(limit=5, history=100)
    usual = [finding.score for window in windows(100) for finding in task.decode(window)]
    assert np.mean(np.asarray(usual[20:]) < 0.5) > 0.95
    (odd,) = task.decode(windows(1, mean=3, seed=2)[0])
    assert odd.score > 0.7
    (noisy,) = task.decode(5 * windows(1, seed=3)[0])
    assert noisy.score > 0.7, "another spread is odd too"


def test_a_few_outliers_do_not_move_what_is_usual_and_what_stays_becomes_usual() -> None:
    task = RobustZ(limit=5, history=40)
    for window in windows(40):
        task.decode(window)
    for window in windows(8, mean=50):
        assert task.decode(window)[0].score > 0.5
    assert task.decode(windows(1, mean=0, seed=9)[0])[0].score < 0.5
    for window in windows(40, mean=50, seed=4):
        task.decode(window)
    assert task.decode(windows(1, mean=50, seed=5)[0])[0].score < 0.5


def test_a_signal_that_never_moved_is_odd_when_it_does() -> None:
    task = RobustZ(limit=3.5, history=20)
    for _ in range(20):
        task.decode(np.full((4, 1), 21.5, np.float32))
    assert task.decode(np.full((4, 1), 21.5, np.float32))[0].score == 0
    assert task.decode(np.full((4, 1), 21.6, np.float32))[0].score > 0.99


@given(st.lists(WINDOWS, min_size=9, max_size=12))
def test_whatever_comes_a_score_is_one(seen: list[np.ndarray]) -> None:
    task = RobustZ(3.5, 10)
    for window in seen:
        assert all(0 <= finding.score <= 1 for finding in task.decode(window))


def test_the_decision_gives_it_hysteresis() -> None:
    decision = Decision(Rules(threshold=0.5, exit_threshold=0.3, votes=2, window=3))
    task, said = Reconstruction(1.0), []
    for now, error in enumerate([0, 2, 2, 0.6, 0.6, 0, 0, 0]):
        rebuilt = np.full((2, 1), np.sqrt(error))
        said += [change.type for change in decision.update(task.decode(np.zeros((2, 1)), rebuilt), now)]
    assert said == ["start", "end"]
