from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ModelError
from edged.models import labels

if TYPE_CHECKING:
    from pathlib import Path


def _refused(data: bytes) -> str:
    with pytest.raises(ModelError) as caught:
        labels.parse(data, "x.txt")
    assert str(caught.value).startswith("x.txt: ")
    return str(caught.value)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"cat\ndog\n", ("cat", "dog")),
        (b"cat\ndog", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\r\ndog\r\n\r\n", ("cat", "dog")),
        (b" cat \n\tdog\n", ("cat", "dog")),
        ("Katze\nchâteau\n猫\n".encode(), ("Katze", "château", "猫")),
        (b"0  person\n1  bicycle\n3  car\n", ("person", "bicycle", "class 2", "car")),
        (b"0: person\n1: bicycle\n", ("person", "bicycle")),
        (b"2 car\n0 person\n1 van\n", ("person", "van", "car")),
        (b"1 euro\n50 cents\ncoin\n", ("1 euro", "50 cents", "coin")),
        (b"1\n2\n3\n", ("1", "2", "3")),
        (b"cat\ncat\n", ("cat", "cat")),
    ],
)
def test_reads_one_label_per_line(data: bytes, named: tuple[str, ...]) -> None:
    assert labels.parse(data, "x.txt") == named


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "the label file is empty"),
        (b"\r\n\n", "the label file is empty"),
        (b"cat\n\ndog\n", "label 2 is empty"),
        (b"cat\nd\xe4ckel\n", "line 2"),
        (b"cat\x00\n", "control"),
        (b"a\x1b[31m\n", "control"),
        ("a\u2028b\n".encode(), "control"),
        (b"x" * 129, "129 characters"),
        (b"1 a\n1 b\n", "duplicate number 1"),
        (b"999999 a\n", "number 999999 is too large"),
        (b"x\n" * 600_000, "1 MB"),
    ],
)
def test_refuses_invalid_label_files(data: bytes, said: str) -> None:
    assert said in _refused(data)


def test_load_names_the_file_in_errors(tmp_path: Path) -> None:
    path = tmp_path / "labels.txt"
    with pytest.raises(ModelError, match=r"labels\.txt: there is no such file"):
        labels.load(path)
    path.write_text("cat\ndog\n")
    assert labels.load(path).names == ("cat", "dog")
    with pytest.raises(ModelError, match="no such file"):
        labels.load(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_give_labels_or_one_error_sentence(data: bytes) -> None:
    try:
        named = labels.parse(data, "x.txt")
    except ModelError as error:
        sentence = str(error)
    else:
        sentence = ""
        assert named
        assert all(0 < len(name) <= 128 for name in named)
    assert "\n" not in sentence


def test_a_missing_or_extra_background_class_is_recognised() -> None:
    assert labels.fit(["cat", "dog"], 2, "x.txt") == ("cat", "dog")
    with pytest.raises(ModelError, match=r"3 labels do not fit the 2 classes.*remove the first line"):
        labels.fit(["background", "cat", "dog"], 2, "x.txt")
    with pytest.raises(ModelError, match=r"2 labels do not fit the 3 classes.*insert a first line"):
        labels.fit(["cat", "dog"], 3, "x.txt")
    with pytest.raises(ModelError, match="another model"):
        labels.fit(["cat", "dog"], 9, "x.txt")


def test_reads_corals_label_files(testdata: Path) -> None:
    coco = labels.load(testdata / "labels" / "coco_labels.txt").names
    assert (coco[0], coco[16]) == ("person", "cat")
    imagenet = labels.load(testdata / "labels" / "imagenet_labels.txt").names
    assert (len(imagenet), imagenet[0]) == (1001, "background")


def test_a_truncated_file_gets_no_hint_about_the_background_class() -> None:
    with pytest.raises(ModelError, match="a line is missing"):
        labels.fit(["background", "cat"], 3, "l.txt")


def test_a_double_number_at_the_end_of_a_long_file_is_found_in_no_time() -> None:
    lines = [f"{number} x" for number in range(90_000)]
    began = time.process_time()
    assert "duplicate number 7" in _refused("\n".join([*lines, "7 x"]).encode())
    assert time.process_time() - began < 2


def test_a_pipe_or_a_device_in_place_of_a_label_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.txt")
    (tmp_path / "zero.txt").symlink_to("/dev/zero")
    for name in ("labels.txt", "zero.txt"):
        with pytest.raises(ModelError, match="this is a device or pipe, not a file"):
            labels.load(tmp_path / name)
