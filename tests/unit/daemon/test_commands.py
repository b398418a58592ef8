"""What comes on cmd/<verb>, and what is answered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.daemon import commands

PIPELINES = ("porch", "yard")


class House:
    def __init__(self) -> None:
        self.done: list[tuple[str, str]] = []

    def do(self, name: str, verb: str) -> bool:
        self.done.append((name, verb))
        return name == "porch"


def ask(verb: str, payload: bytes) -> tuple[dict[str, object], House]:
    house = House()
    return json.loads(commands.answer(verb, payload, PIPELINES, house.do)), house


@pytest.mark.parametrize("verb", commands.VERBS)
def test_an_empty_payload_means_all_that_can(verb: str) -> None:
    answer, house = ask(verb, b"")
    assert answer == {"verb": verb, "done": ["porch"], "refused": {}}
    assert house.done == [("porch", verb), ("yard", verb)]


def test_what_is_refused_is_said_with_its_reason() -> None:
    answer, house = ask("infer", b"porch, yard,attic")
    assert answer["done"] == ["porch"]
    assert answer["refused"] == {
        "yard": "it has no trigger that takes commands, or its worker is not running",
    }
    assert answer["unknown"] == 1, "a name that is not a pipeline's is counted, not repeated"
    assert ("attic", "infer") not in house.done


def test_another_verb_is_an_error() -> None:
    answer, house = ask("reboot", b"")
    assert "no such verb" in str(answer["error"])
    assert "reboot" not in str(answer)
    assert house.done == []


@given(st.sampled_from(commands.VERBS), st.binary(max_size=8192))
def test_whatever_comes_is_answered(verb: str, payload: bytes) -> None:
    answer, house = ask(verb, payload)
    assert answer["verb"] == verb
    assert {name for name, _ in house.done} <= set(PIPELINES)
