from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.inference import text_features
from edged.inference.text_features import FEATURES, row


def cosine(one: str, other: str) -> float:
    return float(row(one) @ row(other))


def test_likeness_is_that_of_words_and_their_pieces() -> None:
    asked = "what is the weather like today"
    assert cosine(asked, "What\u2019s the weather today?") > 0.3
    assert cosine(asked, "what is the wether like today") > 0.6
    assert cosine(asked, "set an alarm for seven") < 0.1
    assert cosine(asked, asked.upper()) == pytest.approx(1)


def test_other_scripts_have_pieces_too() -> None:
    assert cosine("今天天气怎么样", "今天天气好") > 0.2
    assert cosine("今天天气怎么样", "谢谢") < 0.1


@given(st.text(max_size=3000))
def test_any_text_is_a_row_of_length_one_or_nothing(text: str) -> None:
    found = row(text)
    assert (found.shape, found.dtype) == ((FEATURES,), np.float32)
    length = np.linalg.norm(found)
    assert length == pytest.approx(1, abs=1e-5) or not text_features.scaled(found).any()
