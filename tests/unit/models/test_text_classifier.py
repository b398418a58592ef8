from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from text_models import text_model

from edged.errors import ModelError
from edged.models import text_classifier, text_ids
from edged.models.spec import TextInput
from edged.models.tensor import Tensor
from edged.models.text_ids import Hashing, Vocabulary
from edged.models.tflite import file as tflite_file
from edged.models.tflite.file import ModelFile

FILE = ModelFile(
    Path("m.tflite"),
    b"",
    64 * "0",
    (Tensor("ids", (1, 96), "int32"),),
    (Tensor("scores", (1, 3), "int8", 1 / 256, -128),),
    words=Hashing(64),
)


def packed(tmp_path: Path, **files: str) -> ModelFile:
    path = tmp_path / "m.tflite"
    path.write_bytes(
        text_model(np.eye(8), files={name.replace("_", "."): text for name, text in files.items()})
    )
    return tflite_file.read(path)


def test_a_model_says_itself_how_words_become_numbers(tmp_path: Path) -> None:
    hashed = packed(tmp_path, text_json='{"ids": "hashed-ngrams", "buckets": 8}', labels_txt="a\nb\n")
    assert hashed.words == Hashing(8)
    found = text_classifier.spec(hashed)
    assert isinstance(found.input, TextInput)
    assert (found.input.length, found.classes, found.last_step) == (8, 8, "softmax")
    assert hashed.labels is not None
    listed = packed(tmp_path, vocab_txt="<PAD> 0\n<START> 1\n<UNKNOWN> 2\ngood 4\nbad 6\n")
    assert listed.words == Vocabulary({"good": 4, "bad": 6}, 0, 1, 2)
    counted = packed(tmp_path, vocab_txt="good\nBad\n\nnot so 3x\n").words
    assert counted == Vocabulary({"good": 0, "Bad": 1, "not so 3x": 3}, 0, None, None, folded=False)
    assert packed(tmp_path).words is None


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"text.json": b"{"}, "no ids and buckets"),
        ({"text.json": b"[1]"}, "no ids and buckets"),
        ({"text.json": b'{"ids": "bert", "buckets": 9}'}, "hashed-ngrams, not 'bert'"),
        ({"text.json": b'{"ids": "hashed-ngrams", "buckets": 1}'}, "buckets is not"),
        ({"text.json": b'{"ids": "hashed-ngrams", "buckets": true}'}, "buckets is not"),
        ({"vocab.txt": b"\xff\xfe\0"}, "not UTF-8"),
        ({"vocab.txt": b""}, "0 lines"),
        ({"vocab.txt": b"good 99999999999999999999\n"}, "vocab.txt packed in it:1: 9999"),
    ],
)
def test_what_is_packed_and_not_understood_is_refused(files: dict[str, bytes], said: str) -> None:
    with pytest.raises(ModelError) as caught:
        text_ids.read(files, None, "m.tflite")
    assert said in str(caught.value)


def test_a_tokenizer_that_is_not_known_is_not_guessed_at() -> None:
    assert text_ids.read({"vocab.txt": b"a\n"}, None, "m") == Vocabulary({"a": 0})
    assert text_ids.read({"words": b"a\n"}, "words", "m") == Vocabulary({"a": 0})
    assert text_ids.read({"vocab.txt": b"a\n"}, "", "m") is None


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (replace(FILE, inputs=(Tensor("text", (1,), "string"),)), "takes strings"),
        (replace(FILE, inputs=(Tensor("x", (1, 8, 8, 3), "uint8"),)), "not a row of int32"),
        (replace(FILE, inputs=(Tensor("x", (2, 96), "int32"),)), "not a row of int32"),
        (replace(FILE, inputs=(Tensor("x", (1, 1), "int32", dynamic=(1,)),)), "length of the text open"),
        (replace(FILE, inputs=3 * FILE.inputs), "3 inputs"),
        (replace(FILE, outputs=(Tensor("s", (1, 3), "int8"),)), "no scale"),
        (replace(FILE, outputs=(Tensor("s", (1, 3, 4), "float32"),)), "not a row of scores"),
        (replace(FILE, words=None), "which number is which word"),
    ],
)
def test_refuses_other_models_in_a_sentence(file: ModelFile, said: str) -> None:
    with pytest.raises(ModelError) as caught:
        text_classifier.spec(file)
    assert said in str(caught.value)
    assert str(caught.value).startswith("m.tflite: ")
