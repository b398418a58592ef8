from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.bench_request import Answers, names

LABELS = (
    "Egyptian cat",
    "hotdog, hot dog, red hot",
    "maillot",
    "maillot, tank suit",
    "crane",
    "crane",
    "mol\u00e9",
    "unknown (class 7)",
)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("Egyptian cat", {"Egyptian cat"}),
        ("egyptian_cat", {"Egyptian cat"}),
        ("EGYPTIAN  CAT", {"Egyptian cat"}),
        ("mole\u0301", {"mol\u00e9"}),
        ("hotdog", {"hotdog, hot dog, red hot"}),
        ("Red_Hot", {"hotdog, hot dog, red hot"}),
        ("hotdog, hot dog, red hot", {"hotdog, hot dog, red hot"}),
        ("unknown", {"unknown (class 7)"}),
        ("maillot", {"maillot"}),  # a line says just that
        ("tank suit", {"maillot, tank suit"}),
        ("crane", {"crane"}),
        ("cat", set()),
        ("hotdog, hot dog", set()),
        ("", set()),
    ],
)
def test_a_name_means_the_labels_that_say_it(name: str, labels: set[str]) -> None:
    assert Answers(LABELS).meant_by(name) == labels


@given(st.lists(st.text(min_size=1).filter(str.strip), min_size=1))
def test_a_label_means_at_least_itself(labels: list[str]) -> None:
    answers = Answers(labels)
    for label in labels:
        assert label in answers.meant_by(label)


def test_every_name_of_a_label_can_be_suggested() -> None:
    assert list(names(["hotdog, red hot", "cat"])) == ["hotdog, red hot", "hotdog", "red hot", "cat", "cat"]
