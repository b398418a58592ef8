"""The tables of payloads in docs/topics.md, from the schemas of the messages."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tables import JsonSchema, sentence, table, values

import edged

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMAS = Path(edged.__file__).parent / "schema"
_PLACE = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(text: str) -> str:
    """Return the page with its tables made anew, each between ``<!-- generated: NAME -->`` and its end."""
    return _PLACE.sub(lambda found: f"{found[1]}{payload(found[2])}\n{found[3]}", text)


def payload(name: str) -> str:
    """Return the table of one kind of message: event, state, health or gap."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    return "\n".join(table(("field", "holds", "meaning"), list(_rows(schema, "", schema["$defs"]))))


def _rows(part: JsonSchema, path: str, defs: dict[str, JsonSchema]) -> Iterator[tuple[str, str, str]]:
    required = part.get("required", [])
    for key, given in part.get("properties", {}).items():
        value = _resolved(given, defs)
        mark = "" if key in required else " (optional)"
        yield f"`{path}{key}`{mark}", _held(value), sentence(value.get("description", ""))
        yield from _inside(value, f"{path}{key}", defs)


def _inside(value: JsonSchema, path: str, defs: dict[str, JsonSchema]) -> Iterator[tuple[str, str, str]]:
    value = next((o for o in value.get("oneOf", []) if "properties" in o), value)
    if "properties" in value:
        yield from _rows(value, f"{path}.", defs)
    elif isinstance(value.get("items"), dict):
        yield from _rows(_resolved(value["items"], defs), f"{path}[].", defs)
    elif isinstance(value.get("additionalProperties"), dict):
        yield from _rows(_resolved(value["additionalProperties"], defs), f"{path}.NAME.", defs)


def _held(value: JsonSchema) -> str:
    if "oneOf" in value:
        return "object or null"
    kinds = value.get("type")
    if kinds == "object" or (isinstance(kinds, list) and "object" in kinds):
        return " or ".join(["object"] if kinds == "object" else kinds)
    if kinds == "array":
        return f"list, at most {value['maxItems']}" if "maxItems" in value else "list"
    if str(value.get("pattern", "")).startswith("^[0-9]{4}-"):
        return "time"
    return values(value)


def _resolved(part: JsonSchema, defs: dict[str, JsonSchema]) -> JsonSchema:
    if "$ref" in part:
        return {**defs[part["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in part.items() if k != "$ref"}}
    return part
