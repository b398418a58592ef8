"""The AsyncAPI document of the topics: edged/schema/asyncapi.json.

Channels come from the two tables of docs/topics.md, payloads from the schemas of the messages. So the
document says what the page says, for programs that make clients or documentation of it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from payloads import SCHEMAS

import edged

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGET = SCHEMAS / "asyncapi.json"
_VERSION = "3.0.0"
_DIALECT = "application/schema+json;version=draft-2020-12"
_ROW = re.compile(
    r"^\| `(?P<topic>[^`]+)` \| (?P<what>.+?) \| (?P<qos>[01]) \| (?P<retained>yes|no) \|$", re.MULTILINE
)
_ROW_IN = re.compile(r"^\| `(?P<topic>[^`]+)` \| (?P<what>.+?) \| (?P<effect>[^|]+) \|$", re.MULTILINE)
_PARAMETERS = {
    "NODE": "the node's name, from node: of the configuration",
    "PIPELINE": "a pipeline's name",
    "SENSOR": "a sensor's name",
    "CHANNEL": "a channel of a sensor",
    "VERB": "infer, arm or disarm",
}
_TEXT: dict[str, Any] = {"type": "string"}
# Messages without a schema of their own.
_PLAIN: dict[str, dict[str, Any]] = {
    "presence": {"enum": ["online", "offline"]},
    "switch": {"enum": ["ON", "OFF"]},
    "names": _TEXT | {"description": "Names of pipelines with commas, or nothing for all"},
    "birth": {"const": "online"},
    "discovery": {"type": "object", "description": "Home Assistant's device discovery"},
    "reading": {
        "type": "object",
        "required": ["v", "value", "unit", "ts", "quality"],
        "properties": {
            "v": {"const": 1},
            "value": {"type": ["number", "boolean", "null"]},
            "unit": _TEXT,
            "ts": _TEXT,
            "quality": {"enum": ["good", "stale", "suspect", "bad"]},
            "reason": _TEXT,
        },
    },
    "answer": {
        "type": "object",
        "properties": {
            "verb": _TEXT,
            "done": {"type": "array", "items": _TEXT},
            "refused": {"type": "object", "additionalProperties": _TEXT},
            "unknown": {"type": "integer"},
            "error": _TEXT,
        },
    },
    "confirmation": {
        "oneOf": [
            {"type": "integer", "minimum": 1},
            {"type": "object", "properties": {"epoch": _TEXT, "sequence": {"type": "integer", "minimum": 1}}},
        ]
    },
}
_OF_TOPIC = {  # by the end of a topic, where the table does not link to a schema
    "status": "presence",
    "availability": "presence",
    "enabled/state": "switch",
    "enabled/set": "switch",
    "CHANNEL/state": "reading",
    "cmd/VERB/result": "answer",
    "cmd/VERB": "names",
    "ack": "confirmation",
    "config": "discovery",
}


def document(page: str) -> str:
    """Return the document as JSON.

    Args:
        page: the text of docs/topics.md.
    """
    publishes, subscribes = (_section(page, f"What a node {verb}") for verb in ("publishes", "subscribes to"))
    rows = [(row, "send") for row in _ROW.finditer(publishes)]
    rows += [(row, "receive") for row in _ROW_IN.finditer(subscribes)]
    channels, operations = {}, {}
    for row, action in rows:
        name = _name(row["topic"])
        message = _message(row["topic"], row["what"])
        channels[name] = _channel(row["topic"], row["what"], message)
        operations[f"{action}_{name}"] = _operation(name, action, row.groupdict())
    used = sorted({next(iter(channel["messages"])) for channel in channels.values()})
    made = {
        "asyncapi": _VERSION,
        "info": {
            "title": "edged",
            "version": edged.__version__,
            "description": "What a node publishes and subscribes to over MQTT; docs/topics.md is for people.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _payload(name) for name in used}},
    }
    return json.dumps(made, indent=2, ensure_ascii=True) + "\n"


def _section(page: str, heading: str) -> str:
    return page.partition(f"## {heading}\n")[2].partition("\n## ")[0]


def _name(topic: str) -> str:
    words = re.sub(r"[A-Z]{3,}", lambda found: found[0].lower(), topic.removeprefix("edged/NODE/"))
    return re.sub(r"[^a-z]+", "_", words)


def _message(topic: str, what: str) -> str:
    """Return the name of a topic's message: the schema that the table links to, else one without."""
    for ending, name in _OF_TOPIC.items():
        if topic.endswith(f"/{ending}"):
            return name if topic != "homeassistant/status" else "birth"
    linked = re.search(r"\]\(#(\w+)\)", what)
    if linked is None:
        raise ValueError(f"docs/topics.md: the message of {topic} is unknown")
    return linked[1]


def _channel(topic: str, what: str, message: str) -> dict[str, Any]:
    parameters = {
        word.lower(): {"description": said} for word, said in _PARAMETERS.items() if word in topic.split("/")
    }
    address = re.sub(
        r"\b(NODE|PIPELINE|SENSOR|CHANNEL|VERB)\b", lambda found: f"{{{found[1].lower()}}}", topic
    )
    return {
        "address": address,
        "description": re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", what),
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        **({"parameters": parameters} if parameters else {}),
    }


def _operation(name: str, action: str, row: dict[str, str]) -> dict[str, Any]:
    made: dict[str, Any] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}}
    if "qos" in row:
        made["bindings"] = {"mqtt": {"qos": int(row["qos"]), "retain": row["retained"] == "yes"}}
    else:
        made["summary"] = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", row["effect"])
    return made


def _payload(name: str) -> dict[str, Any]:
    file = SCHEMAS / f"{name}.schema.json"
    schema = _PLAIN[name] if name in _PLAIN else json.loads(file.read_text("utf-8"))
    root = f"#/components/messages/{name}/payload/schema"
    kind = "text/plain" if name in {"presence", "switch", "names", "birth"} else "application/json"
    return {
        "contentType": kind,
        "payload": {"schemaFormat": _DIALECT, "schema": dict(_rerooted(schema.items(), root))},
    }


def _rerooted(items: Any, root: str) -> Iterator[tuple[str, Any]]:
    """Yield what a schema holds, with references that begin at the document."""
    for key, value in items:
        yield key, _moved(value, root) if key != "$ref" else value.replace("#", root, 1)


def _moved(value: Any, root: str) -> Any:
    if isinstance(value, dict):
        return dict(_rerooted(value.items(), root))
    return [_moved(each, root) for each in value] if isinstance(value, list) else value
