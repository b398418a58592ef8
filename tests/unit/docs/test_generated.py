"""What is generated in docs/ is what the code of today generates."""

from __future__ import annotations

import re
import sys

import pytest

from unit.docs.documents import ROOT

sys.path.append(str(ROOT / "docs" / "make"))

import configuration
import payloads
import picture

REMEDY = "run: python docs/make"


def test_the_configuration_reference_is_that_of_the_schema() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == configuration.page(), REMEDY


def test_the_payload_tables_are_those_of_the_schemas() -> None:
    text = (ROOT / "docs" / "topics.md").read_text("utf-8")
    assert set(re.findall(r"<!-- generated: (\w+) -->", text)) == {
        path.name.removesuffix(".schema.json") for path in payloads.SCHEMAS.glob("*.schema.json")
    }
    assert payloads.fill(text) == text, REMEDY


def test_every_key_of_the_schema_is_in_the_reference() -> None:
    from edged.config import schema

    def keys(part: object) -> set[str]:
        if isinstance(part, dict):
            here = set(part["properties"]) if isinstance(part.get("properties"), dict) else set()
            return here.union(*(keys(value) for value in part.values()))
        return set().union(*(keys(item) for item in part)) if isinstance(part, list) else set()

    written = set(re.findall(r"^\| `(\w+)` \|", configuration.page(), re.MULTILINE))
    assert keys(schema.schema()) - written <= {"kind", "NAME"}


def test_the_picture_shows_what_edged_try_shows() -> None:
    """Words and labels are the same; scores differ by rounding at most, times are those of one run."""
    kept = (ROOT / "docs" / "images" / "try.svg").read_text("utf-8")
    made = picture.svg(picture.run(count=1))
    assert _plain(kept) == _plain(made), "run: python docs/make --picture"
    assert _scores(kept) == pytest.approx(_scores(made), abs=0.02)


def _plain(svg: str) -> list[str]:
    text = re.sub(r"[█░]+", " ", picture.words(svg)).partition("isolation:")[0]
    return re.sub(r"\d+(\.\d+)?", "#", text).split()


def _scores(svg: str) -> list[float]:
    return [float(score) for score in re.findall(r" (\d\.\d\d)\b", picture.words(svg))]
