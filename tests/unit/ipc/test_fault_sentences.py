from __future__ import annotations

import pytest

from edged.errors import Reason
from edged.ipc import fault_sentences


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        (Reason.ABSENT, "is not there"),
        (Reason.BUSY, "another program uses"),
        (Reason.DENIED, "may not be opened"),
        (Reason.LOST, "failed"),
        ("", "failed"),
    ],
)
def test_what_keeps_an_accelerator_from_working_is_told_apart(reason: str, words: str) -> None:
    sentence = fault_sentences.sentence("accelerator", str(reason))
    assert words in sentence
    assert "its accelerator" in sentence


def test_a_reason_that_edged_does_not_have_is_not_repeated() -> None:
    assert "secret" not in fault_sentences.sentence("accelerator", "secret")
    assert "secret" not in fault_sentences.sentence("secret", "secret")
