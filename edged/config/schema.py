"""The JSON schema of the configuration, for completion, descriptions and validation in editors."""

from __future__ import annotations

import json
import re
from typing import Any

from edged.config.root import Config

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12). Each driver is a branch, selected by ``kind``."""
    described: dict[str, Any] = Config.model_json_schema()
    _read_as_yaml(described)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **described,
        "title": "edged",
        "description": "The configuration of edged",
    }


def text() -> str:
    """Return the schema as ``edged schema`` prints it and as ``config/edged.schema.json`` holds it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _read_as_yaml(part: Any) -> None:
    """Make an editor accept what edged accepts: it reads an unquoted ``rotate: 90`` as a number."""
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
