"""What Telegraf makes of a message, by the rules of its own source: its program is in no package registry.

``plugins/inputs/mqtt_consumer`` (``topic_parser.go``) and ``plugins/parsers/json`` of influxdata/telegraf at
b272631 (2026-08-21): JSON is flattened with underscores, the keys of ``tag_keys`` become tags, other texts
and booleans are dropped, and ``fieldinclude`` and ``fieldexclude`` choose among the numbers.
"""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RFC_3339 = "2006-01-02T15:04:05Z07:00"  # a layout of Go; fractions of a second may follow the seconds


def subscriptions(config: Path) -> list[dict[str, Any]]:
    """Return the MQTT consumers of a configuration."""
    found: list[dict[str, Any]] = tomllib.loads(config.read_text("utf-8"))["inputs"]["mqtt_consumer"]
    return found


def lines(consumers: list[dict[str, Any]], topic: str, payload: bytes) -> list[str]:
    """Return the line protocol of all consumers that take this topic."""
    return [
        _line(consumer, topic, json.loads(payload))
        for consumer in consumers
        if any(matches(pattern, topic) for pattern in consumer["topics"])
    ]


def matches(pattern: str, topic: str) -> bool:
    """Return whether a filter with ``+`` takes a topic."""
    wanted, parts = pattern.split("/"), topic.split("/")
    return len(wanted) == len(parts) and all(w in ("+", p) for w, p in zip(wanted, parts, strict=True))


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    inside = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    )
    if inside is not None:
        for key, below in inside:
            yield from _flat(below, f"{name}_{key}" if name else str(key))
    elif value is not None:
        yield name, value


def _line(consumer: dict[str, Any], topic: str, data: Any) -> str:
    assert (consumer["data_format"], consumer["json_time_format"]) == ("json", RFC_3339)
    flat = dict(_flat(data))
    at = datetime.fromisoformat(flat.pop(consumer["json_time_key"])).astimezone(UTC)
    tags = _of_topic(consumer, topic)
    for key in [key for key in flat if any(fnmatch(key, tag) for tag in consumer["tag_keys"])]:
        tags[key] = str(flat.pop(key))
    numbers = {k: v for k, v in flat.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    fields = {
        key: value
        for key, value in numbers.items()
        if any(fnmatch(key, p) for p in consumer.get("fieldinclude", ["*"]))
        and not any(fnmatch(key, p) for p in consumer.get("fieldexclude", []))
    }
    assert consumer["topic_tag"] == ""
    where = "".join(f",{_escaped(k)}={_escaped(v)}" for k, v in sorted(tags.items()) if v)
    what = ",".join(f"{_escaped(key)}={value:.15g}" for key, value in fields.items())
    assert what, "a measurement without fields is dropped"
    return f"{consumer['name_override']}{where} {what} {round(at.timestamp() * 1000)}000000"


def _of_topic(consumer: dict[str, Any], topic: str) -> dict[str, str]:
    tags = {}
    for parsing in consumer.get("topic_parsing", []):
        names = parsing["tags"].split("/")
        assert len(names) == len(parsing["topic"].split("/")), "tags length does not equal topic length"
        if matches(parsing["topic"], topic):
            parts = topic.split("/")
            tags |= {n: part for n, part in zip(names, parts, strict=True) if n not in ("_", "")}
    return tags


def _escaped(text: str) -> str:
    for character in ",= ":
        text = text.replace(character, f"\\{character}")
    return text
