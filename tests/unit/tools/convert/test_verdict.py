from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tflite_builder import Kind, build

from edged.errors import Refused
from edged.models.tflite import file as tflite_file
from edged.models.tflite import operators
from edged.tools.convert import verdict

if TYPE_CHECKING:
    from pathlib import Path

SOURCE: dict[str, Any] = {"values": "-1..1", "origin": "configuration", "low": -1.0, "high": 1.0}
INT8 = Kind("int8", 2 / 255, 0)


def check(folder: Path, content: bytes, mode: str, source: dict[str, Any] = SOURCE) -> None:
    file = folder / "m.tflite"
    file.write_bytes(content)
    verdict.check_file(tflite_file.read(file), operators.read(content, "m"), mode, source)


def test_agreement_counts_the_same_best_class() -> None:
    source = {0: [0.9, 0.1], 1: [0.2, 0.8], 3: [0.6, 0.4]}
    made = {0: [0.8, 0.2], 1: [0.1, 0.9], 3: [0.4, 0.6]}
    found = verdict.compare(source, made, [(0,), (0,), (), (1,)])
    assert (found.n, round(found.top1, 3), round(found.difference, 3)) == (3, 0.667, 0.2)
    assert found.accuracy == pytest.approx(2 / 3)
    assert verdict.compare(source, source).accuracy is None


def test_a_class_that_is_as_good_for_the_source_agrees() -> None:
    assert verdict.compare({0: [0.5, 0.5]}, {0: [0.4, 0.6]}).top1 == 1
    assert verdict.compare({0: [0.7]}, {0: [0.6]}).top1 == 1
    assert verdict.compare({0: [0.7]}, {0: [0.4]}).top1 == 0


@pytest.mark.parametrize(
    ("source", "made", "said"),
    [
        ({}, {}, "no photograph can be read"),
        ({0: [1.0, 0.0]}, {1: [1.0, 0.0]}, "answered 1 photographs and the result 1"),
        ({0: [1.0, 0.0]}, {0: [1.0]}, "another number of scores"),
    ],
)
def test_what_cannot_be_compared_is_refused(source: Any, made: Any, said: str) -> None:
    with pytest.raises(Refused, match=said):
        verdict.compare(source, made)


def test_too_little_agreement_is_refused_with_the_runtime() -> None:
    low = verdict.Agreement(597, 0.26, 0.9)
    with pytest.raises(Refused, match=r"in litert 2.1.6 .* on 26.0 % of 597 photographs, less than 95 %"):
        verdict.check_agreement("litert 2.1.6", low, 0.95, "int8")
    verdict.check_agreement("litert 2.1.6", low, 0.2, "int8")


def test_values_that_make_the_source_worse_are_refused() -> None:
    with pytest.raises(Refused, match=r"8 % .* with -1..1, and 97 % with 0..1: write --normalize 0..1"):
        verdict.check_values(SOURCE, "none", {"0..1": 0.97, "0..255": 0.1}, 50, 0.08)
    verdict.check_values(SOURCE, "none", {"0..1": 0.97}, 50, 0.9)
    verdict.check_values(SOURCE, "none", {"0..1": 0.97}, 5, 0.08)


def test_whole_numbers_need_known_values() -> None:
    assumed = SOURCE | {"origin": "assumed"}
    with pytest.raises(Refused, match="write --normalize"):
        verdict.check_values(assumed, "int8", {}, 0, None)
    verdict.check_values(assumed, "dynamic", {}, 0, None)


def test_values_other_than_the_graph_shows_are_refused() -> None:
    with pytest.raises(Refused, match=r"wants 0..255 and not -1..1"):
        verdict.check_given("-1..1", "0..255")
    verdict.check_given("-1..1", "")
    verdict.check_given(None, "0..255")


@pytest.mark.parametrize(
    ("seen", "said"), [({"n": 0, "spread": 0.0}, "can be read"), ({"n": 30, "spread": 0.01}, "of one colour")]
)
def test_photographs_that_calibrate_nothing_are_refused(seen: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused, match=said):
        verdict.check_calibration(seen, SOURCE)


def test_good_photographs_calibrate() -> None:
    verdict.check_calibration({"n": 30, "spread": 0.4}, SOURCE)


def test_a_float_file_is_not_an_int8_model(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="gave a float32 model and not an int8 one, without a word"):
        check(tmp_path, build(), "int8")
    check(tmp_path, build(), "none")


def test_an_input_of_another_range_is_refused(tmp_path: Path) -> None:
    whole = build(picture=INT8, scores=Kind("int8", 1 / 256, -128))
    check(tmp_path, whole, "int8")
    with pytest.raises(Refused, match=r"takes -1 to 0.996, but pixels become 0 to 255"):
        check(tmp_path, whole, "int8", SOURCE | {"low": 0.0, "high": 255.0, "values": "0..255"})


def test_a_mode_that_changed_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="nothing of it became int8"):
        check(tmp_path, build(), "dynamic")
    with pytest.raises(Refused, match="nothing of it became float16"):
        check(tmp_path, build(), "float16")
