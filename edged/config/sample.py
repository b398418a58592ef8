"""Writes a first configuration: what this machine has is switched on, everything else is there as a comment.

Keys, defaults and sentences come from the models, so the sample cannot drift from them. ``##`` explains; a
line with a single ``#`` becomes part of the configuration when that is deleted, and all of them together are
a good configuration too: what only its user can name, such as a file, stays empty, which is as if left out.
"""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from edged.config import declarations
from edged.config.root import Config, PipelineSection, host_node
from edged.config.sensor import SENSORS
from edged.config.source import driver_config
from edged.models import bundled
from edged.sources.discovery import Machine, survey

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pydantic.fields import FieldInfo

_WIDTH = 110
_COLUMN = 36  # of the sentence behind a value
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*")
_OWN = ("## state_dir and run_dir are of the user who made this file; for a service leave both out.",)
_WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")


def sample(machine: Machine | None = None, own: tuple[Path, Path] | None = None) -> str:
    """Return the text of a configuration.

    Args:
        machine: that it is for; None: this one.
        own: state_dir and run_dir of a user who may not write where the service does.
    """
    machine = machine if machine is not None else survey()
    lines = [
        "## edged: what it looks at, how it decides, and where it sends the news.",
        "##",
        "## A line that begins with `# ` is off and shows the default, or an example. Delete the `# ` to",
        "## switch it on, and that of the line which begins its block (`mqtt:`, `model:` …). Nothing behind",
        "## the colon: as if the line were left out. What stands behind ## only explains.",
        "## `edged check` reads this file without touching a device; `edged schema` is for your editor.",
        *_notes(machine),
        *(_OWN if own is not None else ()),
        "",
    ]
    for name, info in Config.model_fields.items():
        if name == "pipelines":
            lines += ["", "pipelines:", *_pipelines(machine)]
        elif name == "node":
            lines += _entry(name, info, host_node(), "")
        elif own is not None and name in ("state_dir", "run_dir"):
            lines += ["", *_entry(name, info, str(own[name == "run_dir"]), "")]
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
        if number == 1:
            yield ""
            yield "  ## Whatever stands under camera can stand under the others too."
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
    model = declarations.of_field(info).model
    if model is not None:
        yield from _described(f"{indent}{name}:", info.description or "", indent)
        for key, below in model.model_fields.items():
            yield from _default(key, below, f"{indent}  ")
    else:
        yield from _entry(name, info, _value(info), indent)


def _value(info: FieldInfo) -> Any:
    """Return what stands behind the colon: nothing for a key that nothing is the default of."""
    if info.examples and info.default is not None:
        return info.examples[0]
    if info.default is not PydanticUndefined:
        return info.default
    return info.get_default(call_default_factory=True)


def _entry(name: str, info: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    choices = declarations.of_field(info).choices
    # A choice of digits is read as one of them without quotes too, and is written so by everybody.
    text = value if value in choices and value.isdecimal() else _yaml(value)
    sentence = info.description or ""
    if len(choices) > 1 and not all(_says(sentence, choice) for choice in choices):
        sentence += f" ({', '.join(choices[:-1])} or {choices[-1]})"
    if value is None and info.examples and not _says(sentence, example := _yaml(info.examples[0])):
        sentence += f" (such as {example})"
    yield from _described(f"{indent}{name}: {text}".rstrip(), sentence, indent)


def _says(sentence: str, word: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", sentence) is not None


def _described(line: str, sentence: str, indent: str) -> Iterator[str]:
    behind = f"{line:<{_COLUMN}} # {sentence}"
    if sentence and len(behind) > _WIDTH:
        yield from textwrap.wrap(
            sentence,
            _WIDTH - 4,
            initial_indent=f"{indent}## ",
            subsequent_indent=f"{indent}## ",
            break_on_hyphens=False,
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
        deeper = line[indent : -len(text)]
        yield line[:indent] + (f"##{deeper}{text[2:]}" if text.startswith("##") else f"# {deeper}{text}")


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
