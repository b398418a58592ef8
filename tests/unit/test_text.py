"""What others wrote is safe to show: no control, no bidirectional mark, no line of its own."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ConfigError, ModelError, Problem
from edged.text import printable, printable_lines

ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "clear": "\x1b[2J",
    "up": "\x1b[1A\x1b[2K",
    "C1": "\x9b2J\x9d0;owned\x9c",
    "turn round": "\u202egnihtyna\u202c",
    "isolate": "\u2066x\u2069\u061c\u200f",
    "line": "fine\nok: good: 1 pipeline",
    "carriage": "bad\rgood",
    "separator": "a\u2028b\u2029c\x85d",
    "half a pair": "\ud800",
    "delete": "x\x7f",
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_becomes_letters(attack: str) -> None:
    shown = printable(attack)
    assert len(shown) == len(attack)
    assert "?" in shown
    assert {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"} == set()


@pytest.mark.parametrize("text", ["Katze", "می\u200cروم", "क्\u200dष", "猫 (室内)", "1\u00a0m", "🐈 ok"])
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text


@given(st.text())
def test_once_is_enough(text: str) -> None:
    assert printable(printable(text)) == printable(text)
    assert printable_lines(text).replace("\n", "?").replace("\t", "?") == printable(text)


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_problem_and_a_model_error_are_clean_from_the_start(attack: str) -> None:
    problem = Problem(f"/models/{attack}.tflite:1:1", f"it calls {attack}", f"write {attack}")
    for sentence in (str(problem), str(ConfigError([problem])), str(ModelError(f"it calls {attack}"))):
        assert printable(sentence) == sentence
