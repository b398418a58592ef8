"""The JSON schema of the configuration, for editors: completion, descriptions and red lines while typing."""

from __future__ import annotations

import json
import re
from typing import Any

from edged.config.root import Config

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12); each driver is a branch, chosen by ``kind``."""
    described: dict[str, Any] = Config.model_json_schema()
    _read_as_yaml(described)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **described,
        "title": "edged",
        "description": "The configuration of edged",
    }


def text() -> str:
    """Return the schema as ``edged schema`` prints it and as it ships."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _read_as_yaml(part: Any) -> None:
    """Let an editor accept what edged accepts: an unquoted ``rotate: 90`` is a number to it."""
    if isinstance(part, dict):
        choices = part.get("enum")
        if isinstance(choices, list) and all(isinstance(choice, str) for choice in choices):
            numbers = [float(c) if "." in c else int(c) for c in choices if _NUMBER.fullmatch(c)]
            if numbers:
                part["enum"] = [*choices, *numbers]
                part.pop("type", None)
        part = list(part.values())
    if isinstance(part, list):
        for item in part:
            _read_as_yaml(item)
