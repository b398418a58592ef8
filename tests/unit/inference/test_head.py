from __future__ import annotations

import numpy as np
import pytest
from taught_models import head_file

from edged.inference import head as heads
from edged.inference.head import Fit, Head, fit, scaled
from edged.models.taught.head_file import OTHER, Gates

WIDTH = 24


def examples(labels: int, each: int, spread: float = 0.25, seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Rows around one direction for each label."""
    random = np.random.default_rng(seed)
    answers = np.repeat(np.arange(labels), each)
    return scaled(np.eye(WIDTH)[answers] + random.normal(0, spread, (len(answers), WIDTH))), answers


def opened(fitted: Fit, rows: np.ndarray, answers: np.ndarray, labels: tuple[str, ...]) -> Head:
    return Head(head_file(fitted, rows, answers, labels))


def plain_bias(rows: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """The bias of ridge regression alone, of labels with equally many examples."""
    kernel = rows @ rows.T + 1 + heads.RIDGE * np.eye(len(rows))
    targets = np.where(answers[:, None] == np.arange(answers.max() + 1), 1.0, -1.0)
    return np.asarray(np.linalg.solve(kernel, targets).sum(axis=0))


def test_leaving_one_out_in_closed_form_is_what_leaving_it_out_gives() -> None:
    rows, answers = examples(3, 6)
    fitted = fit(rows, answers, 3)
    ridge = heads.RIDGE
    for gone in range(len(rows)):
        kept = np.arange(len(rows)) != gone
        kernel = rows[kept] @ rows[kept].T + 1 + ridge * np.eye(len(rows) - 1)
        alpha = np.linalg.solve(kernel, np.where(answers[kept, None] == np.arange(3), 1.0, -1.0))
        refitted = rows[gone] @ rows[kept].T @ alpha + alpha.sum(axis=0)
        found = fitted.left_out[gone] - (fitted.bias - plain_bias(rows, answers))
        assert found == pytest.approx(refitted, abs=1e-5)


def test_a_label_with_many_examples_does_not_drown_one_with_few() -> None:
    rows, answers = examples(2, 60, spread=0.3)
    kept = np.r_[0:60, 60:64]  # 60 of the one, 4 of the other
    fitted = fit(rows[kept], answers[kept], 2)
    unseen, right = examples(2, 60, spread=0.3, seed=4)
    named = (unseen @ fitted.weights + fitted.bias).argmax(axis=1)
    assert (named == right)[right == 1].mean() > 0.8


def test_scores_reach_one_half_exactly_where_both_gates_are_passed() -> None:
    rows, answers = examples(3, 10)
    judge = opened(fit(rows, answers, 3), rows, answers, ("cat", "dog", "bird"))
    random = np.random.default_rng(9)
    asked = scaled(np.concatenate([examples(3, 40, 0.35, seed=5)[0], random.normal(0, 1, (200, WIDTH))]))
    passes = judge.passes(asked, judge.answers(asked))
    scores = np.stack([judge.scores(row) for row in asked])
    assert np.array_equal(scores.max(axis=1) >= 0.5, passes)
    assert 0 <= scores.min() <= scores.max() <= 1
    assert passes[:120].mean() > 0.6
    assert passes[120:].mean() < 0.2


def test_a_single_correction_counts_at_once_for_what_is_almost_the_same() -> None:
    rows, answers = examples(2, 10)
    odd = np.eye(WIDTH)[[20]]  # like nothing that was taught
    before = opened(fit(rows, answers, 2), rows, answers, ("cat", "dog"))
    assert before.scores(odd[0]).max() < 0.5
    rows, answers = np.concatenate([rows, odd]), np.append(answers, 1)
    judge = opened(fit(rows, answers, 2), rows, answers, ("cat", "dog"))
    again = scaled(odd + np.random.default_rng(4).normal(0, 0.02, odd.shape))
    assert judge.passes(again, judge.answers(again)).all()
    assert judge.scores(again[0])[1] >= 0.5
    assert judge.scores(np.eye(WIDTH)[21]).max() < 0.5


def test_the_best_answer_has_the_best_score() -> None:
    rows, answers = examples(4, 10)
    judge = opened(fit(rows, answers, 4), rows, answers, tuple("abcd"))
    asked = examples(4, 10, seed=8)[0]
    assert [judge.scores(row).argmax() for row in asked] == judge.answers(asked).argmax(axis=1).tolist()


def test_what_looks_like_other_is_none_of_the_labels() -> None:
    rows, answers = examples(3, 10)
    judge = opened(fit(rows, answers, 3), rows, answers, ("cat", OTHER, "dog"))
    assert judge.labels == ("cat", "dog")
    scores = np.stack([judge.scores(row) for row in rows])
    assert scores.shape == (30, 2)
    assert (scores[answers == 1].max(axis=1) < 0.5).mean() > 0.9
    assert (scores[answers == 0][:, 0] >= 0.5).mean() > 0.8
    assert (scores[answers == 2][:, 1] >= 0.5).mean() > 0.8


def test_one_label_alone_is_told_from_everything_else() -> None:
    rows, answers = examples(1, 10)
    judge = opened(fit(rows, answers, 1), rows, answers, ("cat",))
    assert np.mean([judge.scores(row)[0] >= 0.5 for row in rows]) > 0.8
    assert judge.scores(np.eye(WIDTH)[7])[0] < 0.5


def test_single_examples_set_no_gate_but_are_told_apart() -> None:
    rows, answers = examples(2, 1)
    fitted = fit(rows, answers, 2)
    assert fitted.gates == Gates(0.4, -0.5)
    judge = opened(fitted, rows, answers, ("cat", "dog"))
    assert judge.scores(rows[0]).argmax() == 0
    assert judge.scores(rows[1]).argmax() == 1


def test_a_row_of_zeros_is_nothing() -> None:
    rows, answers = examples(2, 5)
    judge = opened(fit(rows, answers, 2), rows, answers, ("cat", "dog"))
    assert judge.scores(np.zeros(WIDTH)).max() < 0.5
