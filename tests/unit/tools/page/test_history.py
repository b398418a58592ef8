"""What is kept of the results, and replayed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edged.config.root import PipelineSection
from edged.events import Finding
from edged.pipeline.decision import Decision
from edged.testing.supervisor import outcome
from edged.tools.page import history
from edged.tools.page.history import History

if TYPE_CHECKING:
    import pytest


def section(**decision: float) -> PipelineSection:
    return PipelineSection.model_validate({"source": {"kind": "synthetic"}, "decision": decision})


SCORES = st.lists(st.floats(0, 1), max_size=60)


def filled(scores: list[float], step_s: float = 1.0) -> History:
    kept = History()
    for number, score in enumerate(scores):
        kept.add(outcome(kind="result", decided_at=number * step_s, top=(Finding("cat", score),)))
    return kept


@given(SCORES, st.floats(0, 1), st.integers(1, 3))
def test_a_replay_decides_what_the_worker_decided(scores: list[float], threshold: float, votes: int) -> None:
    other = section(threshold=threshold, votes=votes, window=3, cooldown_s=2)
    decision = Decision(other.rules())
    told = [
        (float(at), change.type, change.label)
        for at, score in enumerate(scores)
        for change in decision.update([Finding("cat", score)], at)
    ]
    found = filled(scores).replay(other)[0]
    assert [(one["at"], one["type"], one["label"]) for one in found["changes"]] == told
    assert (found["count"], found["results"]) == (len(told), len(scores))


def test_only_the_last_minutes_are_kept() -> None:
    kept = filled([0.5] * 100, step_s=history.KEPT_S / 10)
    assert kept.replay(section())[0]["results"] == 11
    assert kept.since(0)[0].number == 90


def test_a_clock_that_is_set_back_does_not_reorder_results() -> None:
    kept = History()
    for at in (50.0, 20.0, 51.0):
        kept.add(outcome(kind="result", decided_at=at))
    assert [result.at for result in kept.since(0)] == [50.0, 50.0, 51.0]


def test_an_answer_is_bounded_and_has_the_newest_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_POINTS", 10)
    found = filled([0.5] * 95).since(0)
    assert len(found) == 10
    assert found[-1].number == 95
    assert filled([0.5] * 9).since(8)[0].number == 9


def test_a_long_list_of_changes_is_cut_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_CHANGES", 4)
    found = filled([0.9, 0.0] * 10).replay(section())[0]
    assert (len(found["changes"]), found["count"]) == (4, 20)


def test_a_replay_that_costs_much_is_of_the_newest_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "BUDGET_S", 1e-9)
    monkeypatch.setattr(history, "LEAST", 5)
    kept = filled([0.9, 0.0] * 10)
    kept.replay(section())  # the first one measures
    before, after = kept.replay(section(), section(threshold=0.95))
    assert (before["results"], after["results"]) == (5, 5)
    assert [one["at"] for one in before["changes"]] == [16.0, 17.0, 18.0, 19.0]
