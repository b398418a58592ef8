from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from text_models import text_model

from edged.errors import ModelError
from edged.inference import model as models
from edged.inference.text_ids import TextPreparer, hashed
from edged.models import loaded_model, runtimes, text_classifier
from edged.models.spec import TextInput
from edged.models.tensor import Tensor
from edged.models.text_ids import Hashing, Vocabulary

if TYPE_CHECKING:
    from pathlib import Path

IDS = Tensor("ids", (1, 6), "int32")


def listed(text: str, words: Hashing | Vocabulary) -> list[int]:
    row = TextPreparer(TextInput(6, words, IDS)).prepare(text)
    assert (row.shape, row.dtype) == ((1, 6), np.int32)
    return [int(number) for number in row[0]]


def test_words_become_the_numbers_of_a_vocabulary() -> None:
    ids = {"good": 4, "it's": 5, "bad": 6}
    assert listed("Good, it's BAD!", Vocabulary(ids)) == [4, 5, 6, 0, 0, 0]
    assert listed("good or bad", Vocabulary(ids, pad=9, start=1, unknown=2)) == [1, 4, 2, 6, 9, 9]
    assert listed("good or bad", Vocabulary(ids)) == [4, 6, 0, 0, 0, 0]
    assert listed("Good good", Vocabulary({"good": 4, "Good": 7}, folded=False)) == [7, 4, 0, 0, 0, 0]
    assert listed(9 * "bad ", Vocabulary(ids)) == 6 * [6]


@given(st.text(max_size=2000), st.integers(2, 2**31 - 1))
def test_any_text_has_ids_that_the_table_has(text: str, buckets: int) -> None:
    row = listed(text, Hashing(buckets))
    assert all(0 <= number < buckets for number in row)
    ids = list(hashed(text, buckets))
    assert row == (ids + 6 * [0])[:6]
    assert 0 not in ids


@pytest.mark.parametrize("runtime", list(runtimes.available()))
def test_a_model_of_words_answers(tmp_path: Path, runtime: str) -> None:
    table = np.zeros((8, 2))
    table[4, 0], table[6, 1] = 3, 3
    files = {"vocab.txt": "<PAD> 0\n<UNKNOWN> 2\ngood 4\nbad 6\n", "labels.txt": "praise\nblame\n"}
    (tmp_path / "m.tflite").write_bytes(text_model(table, files=files))
    loaded = loaded_model.load(tmp_path / "m.tflite", inspect=text_classifier.spec)
    assert loaded.labels == ("praise", "blame")
    assert isinstance(loaded.spec.input, TextInput)
    preparer, model = TextPreparer(loaded.spec.input), models.open_model(loaded, runtime=runtime, threads=1)
    best = [model.invoke(preparer.prepare(text))[0].max() for text in ("a good day", "bad", "grey", "")]
    assert best == pytest.approx([0.9526, 0.9526, 0.5, 0.5], abs=1e-3)


@pytest.mark.parametrize("runtime", list(runtimes.available()))
def test_a_rehearsal_gives_it_numbers_that_its_table_has(tmp_path: Path, runtime: str) -> None:
    (tmp_path / "m.tflite").write_bytes(
        text_model(np.eye(4), files={"vocab.txt": "a\nb\n", "labels.txt": "a\nb\nc\nd\n"})
    )
    model = models.open_model(
        loaded_model.load(tmp_path / "m.tflite", inspect=text_classifier.spec), runtime=runtime
    )
    with pytest.raises(ModelError, match="the runtime failed"):
        model.invoke(np.full((1, 8), 4, np.int32))
    model.rehearse()
