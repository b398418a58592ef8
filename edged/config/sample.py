"""Writes a first configuration: what this machine has is switched on, everything else is there as a comment.

Keys, defaults and sentences come from the models, so the sample cannot drift from them. ``##`` explains; a
line with a single ``#`` becomes part of the configuration when the ``#`` is deleted.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from edged import bundled
from edged.config import fields
from edged.config.machine import Machine, survey
from edged.config.models import Config, PipelineSection, host_node
from edged.config.sensor import SENSORS
from edged.config.source import driver_config

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

_WIDTH = 110
_COLUMN = 36  # of the sentence behind a value
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*")
_WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")


def sample(machine: Machine | None = None) -> str:
    """Return the text of a configuration for a machine, by default this one."""
    machine = machine if machine is not None else survey()
    lines = [
        "## edged: what it looks at, how it decides, and where it sends the news.",
        "## `edged check` reads this file without touching a device; `edged schema` is for your editor.",
        *_notes(machine),
        "",
    ]
    for name, info in Config.model_fields.items():
        if name == "pipelines":
            lines += ["", "pipelines:", *_pipelines(machine)]
        elif name == "node":
            lines += _entry(name, info, host_node(), "")
        elif name == "sensors":
            lines += ["", *_commented(_sensors(info.description or ""))]
        else:
            lines += ["", *_commented(_default(name, info, ""))]
    return "\n".join(lines) + "\n"


def _notes(machine: Machine) -> Iterator[str]:
    if not machine.cameras and not machine.pi_camera:
        yield "## No camera was found, so this one classifies the photographs that come with edged."
    if machine.coral:
        yield f"## A Coral Edge TPU was found ({machine.coral}). To use it, write accelerator.policy: prefer"
        yield "## and model.file with its twin for the Edge TPU, model.edgetpu_file."


def _pipelines(machine: Machine) -> Iterator[str]:
    found: list[tuple[dict[str, Any], str]] = []
    if machine.pi_camera:
        found.append(({"kind": "picamera2"}, "the camera at the CSI connector"))
    found += [({"kind": "v4l2", "device": device}, name) for device, name in machine.cameras]
    if not found:
        found = [({"kind": "folder", "path": str(bundled.PHOTOS)}, "the photographs that come with edged")]
    for number, (source, name) in enumerate(found):
        title = "".join(c for c in name if c.isprintable())[:60]
        yield from ([f"  ## {title}"] if title else [])
        yield f"  camera{f'-{number + 1}' if number else ''}:"
        yield "    source:"
        yield from _source(source)
        if not number:
            yield from _rest()


def _source(source: dict[str, Any]) -> Iterator[str]:
    for name, info in driver_config(source["kind"]).model_fields.items():
        if name in source:
            yield from _entry(name, info, source[name], "      ")
        else:
            yield from _commented(_default(name, info, "      "))


def _sensors(sentence: str) -> Iterator[str]:
    """Write the sensor that every machine has, with all of its keys."""
    yield from _described("sensors:", f"readings, {sentence}", "")
    yield "  board:"
    for name, info in SENSORS.config("system").model_fields.items():
        yield from _default(name, info, "    ")


def _rest() -> Iterator[str]:
    for name, info in PipelineSection.model_fields.items():
        if name != "source":
            yield from _commented(_default(name, info, "    "))


def _default(name: str, info: FieldInfo, indent: str) -> Iterator[str]:
    """Write a key with its example, or else its default; a block with all of its keys."""
    model = fields.of_field(info).model
    if model is not None:
        yield from _described(f"{indent}{name}:", info.description or "", indent)
        for key, below in model.model_fields.items():
            yield from _default(key, below, f"{indent}  ")
    else:
        yield from _entry(name, info, _value(info), indent)


def _value(info: FieldInfo) -> Any:
    if info.examples:
        return info.examples[0]
    if info.default is not PydanticUndefined:
        return info.default
    return info.get_default(call_default_factory=True)


def _entry(name: str, info: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    text = _yaml(value)
    yield from _described(f"{indent}{name}: {text}".rstrip(), info.description or "", indent)


def _described(line: str, sentence: str, indent: str) -> Iterator[str]:
    behind = f"{line:<{_COLUMN}} # {sentence}"
    if sentence and len(behind) > _WIDTH:
        yield from textwrap.wrap(
            sentence, _WIDTH - 4, initial_indent=f"{indent}## ", subsequent_indent=f"{indent}## "
        )
        yield line
    else:
        yield behind if sentence else line


def _commented(lines: Iterator[str]) -> Iterator[str]:
    """Put a # in front of each line, all in the column of the first one, so that deleting it leaves YAML."""
    indent = -1
    for line in lines:
        if indent < 0:
            indent = len(line) - len(line.lstrip())
        text = line.lstrip()
        yield line[:indent] + (text if text.startswith("##") else f"# {line[indent:]}")


def _yaml(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_yaml(key)}: {_yaml(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    text = str(value)
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return text if _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text) else f'"{quoted}"'
