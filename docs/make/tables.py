"""Turns parts of a JSON schema into Markdown."""

from __future__ import annotations

import json
from typing import Any

JsonSchema = dict[str, Any]
_NO_LIMIT = 1e9  # a bound that only keeps nonsense out, and tells a reader nothing
_PATTERNS = {  # what a reader would rather see than a regular expression
    "^[0-9a-f]{64}$": "64 hexadecimal digits",
    "^[0-9a-f]{8}$": "8 hexadecimal digits",
    "^[a-z0-9-]{1,32}$": "name",
    "^[a-z0-9_]{1,32}$": "name",
}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]


def without_null(part: JsonSchema) -> JsonSchema:
    """Return what a key that may be left out holds, with its own description and default."""
    options = [option for option in part.get("anyOf", []) if option != {"type": "null"}]
    rest = {key: value for key, value in part.items() if key != "anyOf"}
    return {**options[0], **rest} if len(options) == 1 else part


def values(part: JsonSchema) -> str:
    """Return which values a place takes, in a few words."""
    part = without_null(part)
    options = part.get("anyOf", part.get("oneOf"))
    if options:
        return " or ".join(values(option) for option in options if option != {"type": "null"})
    if "const" in part:
        return code(part["const"])
    if "enum" in part:
        # A choice that is also a number to YAML stands there twice.
        return ", ".join(dict.fromkeys(code(choice).replace('"', "") for choice in part["enum"]))
    kinds = part.get("type")
    return " or ".join(_of_type(kind, part) for kind in (kinds if isinstance(kinds, list) else [kinds]))


def _of_type(kind: str | None, part: JsonSchema) -> str:
    match kind:
        case "array":
            return _array(part)
        case "string":
            return _text(part)
        case "number" | "integer":
            return _number({**part, "type": kind})
        case "boolean":
            return "`true`, `false`"
    return "map" if kind == "object" else str(kind)


def _array(part: JsonSchema) -> str:
    if "prefixItems" in part:
        return f"list of {len(part['prefixItems'])}: {values(part['prefixItems'][0])}"
    most = f", at most {part['maxItems']}" if "maxItems" in part else ""
    return f"list: {values(part['items'])}{most}" if "items" in part else "list"


def _text(part: JsonSchema) -> str:
    if part.get("format") in {"path", "date-time"}:
        return {"path": "path", "date-time": "time"}[part["format"]]
    return _PATTERNS.get(part.get("pattern", ""), "text")


def _number(part: JsonSchema) -> str:
    noun = {"integer": "whole number", "number": "number"}[part["type"]]
    low, above = part.get("minimum"), part.get("exclusiveMinimum")
    high, below = (
        bound if bound is None or bound < _NO_LIMIT else None
        for bound in (part.get("maximum"), part.get("exclusiveMaximum"))
    )
    limits = [
        f"from {low:g}" if low is not None else f"above {above:g}" if above is not None else "",
        f"to {_plain(high)}" if high is not None else f"below {_plain(below)}" if below is not None else "",
    ]
    return " ".join([noun, *filter(None, limits)])


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) and abs(number) < _NO_LIMIT else f"{number:g}"


def code(value: object) -> str:
    """Return a value as it is written in a configuration."""
    return f"`{json.dumps(value, ensure_ascii=False)}`" if value is not None else ""


def sentence(text: str) -> str:
    """Return a description as Markdown: single backticks, and ``<node>`` is not taken for HTML."""
    return text.replace("``", "`").replace("\n", " ").replace("<", "&lt;")
