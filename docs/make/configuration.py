"""docs/configuration.md, from the JSON schema of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tables import JsonSchema, code, sentence, table, values, without_null

from edged.config import schema

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = """\
<!-- Made by `python docs/make` from the JSON schema; do not edit. -->
# Configuration reference

Every key of `edged.yaml`, from the same text as `edged schema` and the messages of `edged check`. A pipeline
with a source is enough to begin. `edged init` writes a commented file for this machine,
`config/edged.yaml` is an annotated sample, `config/reference.yaml` has every key to copy from, and
`config/examples/` has whole configurations.

A relative path is looked for beside the configuration file. Durations, sizes and rates have their unit in the
key's name: `_s` seconds, `_ms` milliseconds, `_h` hours, `_mb` megabytes.
"""
_PLACES = {
    "pipelines": "NAME",
    "sensors": "NAME",
    "sinks": "NAME",
    "cameras": "NAME",
    "labels": "LABEL",
    "channels": "CHANNEL",
}

_CAMERAS, _SOURCES = "cameras.NAME", "pipelines.NAME.source"  # blocks with the same keys


def page() -> str:
    """Return the text of the page."""
    root = schema.schema()
    return "\n".join([_HEAD, *_section("", root, root["$defs"])]).rstrip() + "\n"


def _section(path: str, part: JsonSchema, defs: dict[str, JsonSchema]) -> Iterator[str]:
    """Give the lines of one block, then those of the blocks in it."""
    if path:
        yield from _heading(path, part)
    yield from _rows(path, part, defs)
    for key, value in part.get("properties", {}).items():
        yield from _below(f"{path}.{key}" if path else key, key, _resolved(value, defs), defs)


def _below(path: str, key: str, part: JsonSchema, defs: dict[str, JsonSchema]) -> Iterator[str]:
    if path == _CAMERAS:
        yield from _heading(path, part)
        yield f"`kind` and its keys are those of [`{_SOURCES}`](#{_anchor(_SOURCES)}).\n"
    elif "oneOf" in part and not _is_value(part):
        yield from _kinds(path, part, defs)
    elif "properties" in part:
        yield from _section(path, part, defs)
    else:
        inner = _of_map(part, defs) or _of_list(part, defs)
        if inner is not None:
            yield from _below(
                path + _step(key, part), key, {"description": part.get("description", ""), **inner}, defs
            )


def _kinds(path: str, part: JsonSchema, defs: dict[str, JsonSchema]) -> Iterator[str]:
    """Give one table of the keys that every kind has, then one a kind of its own."""
    branches = [_resolved(branch, defs) for branch in part["oneOf"]]
    common = {
        key: value
        for key, value in branches[0]["properties"].items()
        if len(branches) > 1 and all(branch["properties"].get(key) == value for branch in branches)
    }
    yield from _heading(path, part)
    names = [branch["title"] for branch in branches]
    kinds = ", ".join(f"[`{name}`](#{_anchor(f'{path} kind {name}')})" for name in names)
    yield f"`kind` is one of: {kinds}.\n"
    if common:
        yield from _rows(path, {"properties": common}, defs)
        for key, value in common.items():
            yield from _below(f"{path}.{key}", key, _resolved(value, defs), defs)
    for branch in branches:
        own = {key: v for key, v in branch["properties"].items() if key not in common and key != "kind"}
        yield from _heading(f"{path} kind {branch['title']}", branch["properties"]["kind"])
        if own:
            required = branch.get("required", [])
            yield from _rows(
                f"{path} kind {branch['title']}", {"properties": own, "required": required}, defs
            )
        for key, value in own.items():
            yield from _below(f"{path} kind {branch['title']}.{key}", key, _resolved(value, defs), defs)


def _heading(path: str, part: JsonSchema) -> Iterator[str]:
    yield f"## {_title(path)}\n"
    described = sentence(part.get("description", "")).rstrip(".")
    if described:
        yield described[:1].upper() + described[1:] + ".\n"


def _title(path: str) -> str:
    """Return the heading of ``sensors.NAME kind serial.frame``: `` `sensors.NAME.frame`, kind `serial` ``."""
    where, _, rest = path.partition(" kind ")
    kind, dot, below = rest.partition(".")
    return f"`{where}{dot}{below}`" + (f", kind `{kind}`" if kind else "")


def _anchor(path: str) -> str:
    """Return the anchor that GitHub gives to the heading of a path."""
    return "".join(c for c in _title(path).lower() if c.isalnum() or c in " -_").replace(" ", "-")


def _rows(path: str, part: JsonSchema, defs: dict[str, JsonSchema]) -> Iterator[str]:
    rows = []
    for key, given in part.get("properties", {}).items():
        value = _resolved(given, defs)
        default = "required" if key in part.get("required", []) else _default(value)
        meaning = sentence(given.get("description", value.get("description", "")))
        examples = [code(example) for example in value.get("examples", []) if example not in ([], {}, "")]
        taken = _taken(f"{path}.{key}" if path else key, key, value, defs)
        rows.append((f"`{key}`", taken, default, "; for example ".join([meaning, *examples[:1]])))
    yield from table(("key", "takes", "default", "meaning"), rows)
    yield ""


def _taken(path: str, key: str, value: JsonSchema, defs: dict[str, JsonSchema]) -> str:
    if "properties" in value or ("oneOf" in value and not _is_value(value)):
        return f"[block](#{_anchor(path)})"
    if _of_map(value, defs) is not None:
        return f"[blocks](#{_anchor(path + _step(key, value))}) by name"
    if _of_list(value, defs) is not None:
        return f"list of [blocks](#{_anchor(path + _step(key, value))})"
    if value.get("type") == "object":
        each = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
        return f"map of {values(each)}"
    return values(value)


def _step(key: str, part: JsonSchema) -> str:
    """Return how the path goes on to a block of a map or of a list."""
    return f".{_PLACES.get(key, 'NAME')}" if part.get("type") == "object" else "[]"


def _default(value: JsonSchema) -> str:
    default = value.get("default")
    return "" if default is None or default in ([], {}, "") else code(default).replace('"', "")


def _resolved(part: JsonSchema, defs: dict[str, JsonSchema]) -> JsonSchema:
    part = without_null(part)
    if "$ref" in part:
        return {**defs[part["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in part.items() if k != "$ref"}}
    return part


def _is_value(part: JsonSchema) -> bool:
    return not all("properties" in option or "$ref" in option for option in part["oneOf"])


def _of_map(part: JsonSchema, defs: dict[str, JsonSchema]) -> JsonSchema | None:
    """Return the block that each entry of a map is; None where it is no map of blocks."""
    within = [*part.get("patternProperties", {}).values(), part.get("additionalProperties")]
    return _block(within[0], defs)


def _of_list(part: JsonSchema, defs: dict[str, JsonSchema]) -> JsonSchema | None:
    return _block(part.get("items"), defs)


def _block(part: object, defs: dict[str, JsonSchema]) -> JsonSchema | None:
    if not isinstance(part, dict):
        return None
    part = _resolved(part, defs)
    return part if "properties" in part or ("oneOf" in part and not _is_value(part)) else None
