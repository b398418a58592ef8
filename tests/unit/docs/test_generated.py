"""What is generated in docs/ is what the code of today generates."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError

from edged.config import loader, reference, schema
from edged.daemon.publisher import TOPICS
from unit.docs.documents import ROOT

sys.path.append(str(ROOT / "docs" / "make"))

import asyncapi
import configuration
import payloads
import picture

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    def keys(part: object) -> set[str]:
        if isinstance(part, dict):
            here = set(part["properties"]) if isinstance(part.get("properties"), dict) else set()
            return here.union(*(keys(value) for value in part.values()))
        return set().union(*(keys(item) for item in part)) if isinstance(part, list) else set()

    written = set(re.findall(r"^\| `(\w+)` \|", configuration.page(), re.MULTILINE))
    assert keys(schema.schema()) - written <= {"kind", "NAME"}


def test_the_sample_with_every_key_is_that_of_the_models() -> None:
    assert (ROOT / "config" / "reference.yaml").read_text("utf-8") == reference.reference(), REMEDY


def test_every_key_of_every_kind_is_in_the_sample_with_every_key() -> None:
    root = schema.schema()
    del root["properties"]["cameras"]  # which have the keys of sources
    data = yaml.safe_load(reference.reference())
    missing = set(_missing("", root, [data], root["$defs"]))
    # Settings of single channels are the same for all kinds: one shows them.
    assert sorted(key for key in missing if ".channels.*." not in key or "(system)" in key) == []
    loader.load(ROOT / "config" / "reference.yaml")


def _missing(path: str, part: Any, given: list[Any], defs: dict[str, Any]) -> Iterator[str]:
    """Yield the keys of a part of the schema that none of the given data has.

    Args:
        path: of the part.
        part: of the schema.
        given: what the file has at its places.
        defs: of the schema.
    """
    while "$ref" in part:
        part = defs[part["$ref"].rpartition("/")[2]]
    blocks = [block for block in given if isinstance(block, dict)]
    for option in part.get("anyOf", ()):
        yield from _missing(path, option, given, defs)
    for option in part.get("oneOf", ()):
        while "$ref" in option:
            option = defs[option["$ref"].rpartition("/")[2]]  # noqa: PLW2901 - what it refers to
        kind = option.get("properties", {}).get("kind", {}).get("const")
        of_kind = [block for block in blocks if block.get("kind") == kind] if kind else given
        yield from _missing(f"{path}({kind})" if kind else path, option, of_kind, defs)
    for key, below in part.get("properties", {}).items():
        if key not in set().union(*blocks):
            yield f"{path}.{key}"
        values = [block[key] for block in blocks if key in block]
        yield from _missing(f"{path}.{key}", below, values, defs)
    maps = [part.get("additionalProperties"), *part.get("patternProperties", {}).values()]
    for below in filter(lambda each: isinstance(each, dict), maps):
        values = [value for block in blocks for value in block.values()]
        yield from _missing(f"{path}.*", below, values, defs)
    if isinstance(below := part.get("items"), dict):
        values = [value for each in given if isinstance(each, list) for value in each]
        yield from _missing(f"{path}[]", below, values, defs)


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


def test_the_asyncapi_document_is_that_of_the_page_and_the_schemas() -> None:
    made = asyncapi.document((ROOT / "docs" / "topics.md").read_text("utf-8"))
    assert asyncapi.TARGET.read_text("utf-8") == made, REMEDY
    data = json.loads(made)

    def references(part: Any) -> Iterator[str]:
        for key, value in part.items() if isinstance(part, dict) else enumerate(part):
            if key == "$ref":
                yield value
            elif isinstance(value, dict | list):
                yield from references(value)

    for named in references(data):
        found = data
        for step in named.removeprefix("#/").split("/"):
            found = found[step]
    channels = {channel["address"] for channel in data["channels"].values()}
    assert {f"edged/{{node}}/{{pipeline}}/{topic}" for topic in (*TOPICS, "event", "result")} <= channels
    assert len(data["operations"]) == len(channels)


def test_an_event_of_the_page_is_one_of_the_asyncapi_document() -> None:
    data = json.loads(asyncapi.TARGET.read_text("utf-8"))
    event = {**data, "$ref": "#/components/messages/event/payload/schema"}
    page = (ROOT / "docs" / "topics.md").read_text("utf-8")
    examples = re.findall(r"<!-- test: schema event -->\n```json\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        Draft202012Validator(event).validate(json.loads(example))
        with pytest.raises(ValidationError):
            Draft202012Validator(event).validate({**json.loads(example), "pixels": "…"})
