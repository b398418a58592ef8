"""Writes an initial configuration: the hardware of this machine is enabled, all else is commented out.

Keys, defaults and descriptions come from the models, so the sample cannot drift from them. ``##`` marks an
explanation. A line with a single ``#`` becomes active when that ``#`` is deleted, and the file stays valid
with all of them active: keys that only the user can fill in, such as a file, are left empty, which counts as
omitted.
"""

from __future__ import annotations

import itertools
import re
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic_core import PydanticUndefined

from edged import sensors
from edged.config import declarations
from edged.config.outputs import Mqtt
from edged.config.root import Config, PipelineSection, host_node
from edged.config.sensor import SENSORS
from edged.config.source import SOURCES
from edged.models import bundled
from edged.sources.discovery import Machine, survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from edged.sensors import Found

_WIDTH = 110
_COLUMN = 36  # where the description after a value begins
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9/._-]*")
_OWN = ("## state_dir and run_dir belong to the user who made this file; remove both for a service.",)
MODELINE = "# yaml-language-server: $schema=edged.schema.json"
_EDITOR = "## The first line is for editors with a YAML language server: edged schema -o edged.schema.json"
_DIRS = ("state_dir", "run_dir")
_WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")


def sample(
    machine: Machine | None = None,
    own: tuple[Path, Path] | None = None,
    found: Sequence[Found] | None = None,
    broker: Mqtt | None = None,
) -> str:
    """Return the text of an initial configuration.

    Args:
        machine: the machine to write it for; None: this one.
        own: state_dir and run_dir for a user who cannot write to the service's directories.
        found: the machine's sensors; None: those of this one, or none of another machine.
        broker: where events go; None: to standard output.
    """
    if found is None:
        found = sensors.find() if machine is None else ()
    machine = machine if machine is not None else survey()
    lines = [
        MODELINE,
        _EDITOR,
        "##",
        "## The configuration of edged: sources, models, decisions, and where events are sent.",
        "##",
        "## A line that begins with `# ` is commented out and shows the default or an example. To use it,",
        "## delete its `# ` and that of the line that begins its block (`mqtt:`, `model:` …). A key with",
        "## nothing after the colon counts as omitted. Lines that begin with ## are explanations.",
        "## `edged check` validates this file without touching a device.",
        *_notes(machine),
        *(_OWN if own is not None else ()),
        "",
    ]
    for name, info in Config.model_fields.items():
        if name == "pipelines":
            lines += ["", "pipelines:", *_pipelines(machine)]
        elif name == "node":
            lines += entry(name, info, host_node(), "")
        elif own is not None and name in _DIRS:
            lines += ["", *entry(name, info, str(own[_DIRS.index(name)]), "")]
        elif name == "mqtt" and broker is not None:
            lines += ["", *_mqtt(info.description or "", broker)]
        elif name == "sensors":
            lines += ["", *_sensors(info.description or "", found)]
        else:
            lines += ["", *_commented(default(name, info, ""))]
    return "\n".join(lines) + "\n"


def minimal(
    machine: Machine | None = None,
    own: tuple[Path, Path] | None = None,
    found: Sequence[Found] | None = None,
    broker: Mqtt | None = None,
) -> str:
    """Return the same without the keys to choose from and their explanations: see :func:`sample`."""
    if found is None:
        found = sensors.find() if machine is None else ()
    machine = machine if machine is not None else survey()
    lines = [MODELINE, "# `edged schema -o edged.schema.json` makes that file; `edged init` shows all keys."]
    lines += [note.replace("##", "#", 1) for note in _notes(machine)]
    lines.append(f"node: {_yaml(host_node())}")
    if own is not None:
        lines += [f"{name}: {_yaml(str(folder))}" for name, folder in zip(_DIRS, own, strict=True)]
    if broker is not None:
        lines += ["mqtt:", *(f"  {name}: {_yaml(value)}" for name, value in _given(broker))]
    if found:
        lines += ["sensors:", *(f"  {sensor.name}: {_yaml(sensor.keys)}" for sensor in found)]
    lines.append("pipelines:")
    for name, _, source in _sources(machine):
        lines += [f"  {name}:", "    source:", *(f"      {key}: {_yaml(v)}" for key, v in source.items())]
    return "\n".join(lines) + "\n"


def _given(broker: Mqtt) -> list[tuple[str, Any]]:
    """Return the keys of a broker that somebody wrote, and their values."""
    keys = [name for name in Mqtt.model_fields if name in broker.model_fields_set]
    return [(name, value) for name in keys if (value := getattr(broker, name)) is not None]


def _mqtt(sentence: str, broker: Mqtt) -> Iterator[str]:
    """Write the broker, with its other keys commented out."""
    yield from described("mqtt:", sentence, "")
    given = dict(_given(broker))
    for name, info in Mqtt.model_fields.items():
        if name in given:
            yield from entry(name, info, given[name], "  ")
        else:
            yield from _commented(default(name, info, "  "))


def _notes(machine: Machine) -> Iterator[str]:
    if not machine.cameras:
        yield "## No camera was found, so this file classifies the bundled photographs."
    if machine.coral:
        yield f"## A Coral Edge TPU was found ({machine.coral}). To use it, set accelerator.policy: prefer,"
        yield "## model.file, and model.edgetpu_file to the same model compiled for the Edge TPU."


def _pipelines(machine: Machine) -> Iterator[str]:
    for number, (name, title, source) in enumerate(_sources(machine)):
        if number == 1:
            yield ""
            yield "  ## All keys shown under `camera` can be used here too."
        yield from ([f"  ## {title}"] if title else [])
        yield f"  {name}:"
        yield "    source:"
        yield from _source(source)
        if not number:
            yield from _rest()
    for microphone in machine.microphones:
        yield ""
        yield f"  ## {_title(microphone.name)} records sound. With a model of sound (docs/sound.md):"
        yield "  ##   ear:"
        yield f"  ##     source: {_yaml(dict(microphone.keys))}"
        yield "  ##     model: {name: yamnet}"


def _title(name: str) -> str:
    return "".join(c for c in name if c.isprintable())[:60]


def _sources(machine: Machine) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield a name, what people call it, and the keys, of each camera, or of the photographs without one."""
    found: list[tuple[Mapping[str, Any], str]] = [(camera.keys, camera.name) for camera in machine.cameras]
    for number, (keys, called) in enumerate(found or [(bundled.SOURCE, "the bundled photographs")]):
        name = f"camera{f'-{number + 1}' if number else ''}" if found else "photos"
        yield name, _title(called), keys


def _source(source: Mapping[str, Any]) -> Iterator[str]:
    for name, info in SOURCES.config(source["kind"]).model_fields.items():
        if name in source:
            yield from entry(name, info, source[name], "      ")
        else:
            yield from _commented(default(name, info, "      "))


def _sensors(sentence: str, found: Sequence[Found]) -> Iterator[str]:
    """Write the sensors that were found, and the one that every machine has with all its keys."""
    head = described("sensors:", f"readings, {sentence}", "")
    if not found:
        yield from _commented(itertools.chain(head, _board()))
        return
    yield from head
    for sensor in found:
        yield f"  {sensor.name}: {_yaml(sensor.keys)}"
    yield from _commented(_board())


def _board() -> Iterator[str]:
    yield "  board:"
    for name, info in SENSORS.config("system").model_fields.items():
        yield from default(name, info, "    ")


def _rest() -> Iterator[str]:
    for name, info in PipelineSection.model_fields.items():
        if name not in {"source", "teach", "then"}:  # a new machine has no taught model, and no detector
            yield from _commented(default(name, info, "    "))


def default(name: str, info: FieldInfo, indent: str) -> Iterator[str]:
    """Write a key with its example or its default; a block with all its keys."""
    model = declarations.block(declarations.of_field(info), None)
    if model is not None:
        yield from described(f"{indent}{name}:", info.description or "", indent)
        for key, below in model.model_fields.items():
            yield from default(key, below, f"{indent}  ")
    else:
        yield from entry(name, info, _value(info), indent)


def _value(info: FieldInfo) -> Any:
    """Return the value to write after the colon; None where the default is to omit the key."""
    if info.examples and info.default is not None:
        return info.examples[0]
    if info.default is not PydanticUndefined:
        return info.default
    return info.get_default(call_default_factory=True)


def entry(name: str, info: FieldInfo, value: Any, indent: str) -> Iterator[str]:
    """Write a key with a value."""
    choices = declarations.of_field(info).choices
    # Choices that are digits are accepted without quotes, which is how people write them.
    text = value if value in choices and value.isdecimal() else _yaml(value)
    sentence = info.description or ""
    if len(choices) > 1 and not all(_mentions(sentence, choice) for choice in choices):
        sentence += f" ({', '.join(choices[:-1])} or {choices[-1]})"
    if value is None and info.examples and not _mentions(sentence, example := _yaml(info.examples[0])):
        sentence += f" (such as {example})"
    yield from described(f"{indent}{name}: {text}".rstrip(), sentence, indent)


def _mentions(sentence: str, word: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", sentence) is not None


def described(line: str, sentence: str, indent: str) -> Iterator[str]:
    """Write a line with its description behind it, or above it where it is long."""
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
    """Comment lines out, each # in the column of the first, so that deleting them leaves valid YAML."""
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
