"""What was set in the browser becomes YAML that the configuration reads the same way."""

from __future__ import annotations

import yaml
from hypothesis import given
from hypothesis import strategies as st

from edged.config.pipeline import DecisionSection, PipelineSection
from edged.tools.page import drawing

SECTION = PipelineSection.model_validate({"source": {"kind": "synthetic"}})
LABELS = st.text(st.characters(codec="utf-8", exclude_categories=("C",)), min_size=1, max_size=20)
SCORES = st.integers(1, 100).map(lambda n: n / 100)


@given(st.dictionaries(LABELS, SCORES, max_size=4), SCORES, st.lists(LABELS, max_size=3))
def test_a_block_means_what_was_set(labels: dict[str, float], threshold: float, ignore: list[str]) -> None:
    rules = {label: {"threshold": score, "exit_threshold": score / 2} for label, score in labels.items()}
    given_ = {"threshold": threshold, "exit_threshold": threshold / 2, "labels": rules, "ignore": ignore}
    decision = drawing.decided(SECTION, given_).decision
    written = yaml.safe_load(drawing.decision_block(decision))
    assert DecisionSection.model_validate(written["decision"]) == decision


def test_a_block_is_as_a_person_writes_it() -> None:
    rules = {
        "votes": 2,
        "window": 3,
        "labels": {"Egyptian cat": {"threshold": 0.4}, "no": {"threshold": 0.25}},
    }
    decision = drawing.decided(SECTION, rules).decision
    assert drawing.decision_block(decision) == (
        "decision:\n  votes: 2\n  window: 3\n  labels:\n    Egyptian cat:\n      threshold: 0.4\n"
        '    "no":\n      threshold: 0.25\n'
    )
    assert drawing.decision_block(DecisionSection()) == "decision:\n  votes: 1\n"
