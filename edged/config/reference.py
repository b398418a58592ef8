"""Writes config/reference.yaml: every key of every kind, each with its default or an example.

It is made of the models, as ``edged init`` is, so it cannot drift from them. It can be read and copied from,
and it is a valid configuration, though of no machine: keys with nothing after the colon count as omitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged import sensors, sinks, sources, tasks
from edged.config import declarations, sample
from edged.config.catalogues import CatalogueSection
from edged.config.root import Config, PipelineSection
from edged.config.sensor import SENSORS
from edged.config.source import SOURCES
from edged.config.task import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from edged.config.driver_sections import ByKind

_HEAD = (
    "# Made by `python docs/make`; do not edit. Every key, with its default or an example. It belongs to no",
    "# machine: `edged init` writes a file for yours. A key with nothing after the colon counts as omitted.",
    "# Lines that begin with ## explain the line below them.",
)
# Keys that must be there, or that are shown better with more than their default.
_VALUES: Mapping[tuple[str, str], Any] = {
    ("folder", "path"): "photos",
    ("sound", "path"): "doorbell.wav",
    ("video", "url"): "rtsp://yard.lan/stream1",
    ("sensors", "channels"): ["attic", "board/temperature"],
    ("command", "command"): ["/usr/local/bin/read-tank", "--json"],
    ("gpio", "line"): "GPIO17",
    ("hwmon", "chip"): "lm75",
    ("i2c", "address"): "0x23",
    ("iio", "device"): "bme280",
    ("serial", "device"): "/dev/ttyUSB0",
    ("serial.frame", "start"): "42 4d",
    ("serial.frame", "length"): 32,
    ("serial.frame.fields", "at"): 4,
    ("i2c.setup", "reg"): "0x01",
    ("i2c.setup", "command"): [],
    ("pipeline.gate.conditions", "above"): 20,
    ("pipeline.trigger.conditions", "above"): 20,
    ("pipeline.teach", "allow"): "signed",
    ("pipeline.teach", "secret_file"): "teach-secret",
    **{(kind, "channels"): {} for kind in sensors.kinds() if kind != "system"},
    ("sensors", "step_s"): 30,
    ("sensors", "window"): 64,
    ("sensors", "mean"): [18, 40],
    ("sensors", "std"): [6, 10],
    ("lines", "path"): "notes.txt",
}
_FIXED = {"node": "porch-pi", "state_dir": "/var/lib/edged", "run_dir": "/run/edged"}  # else of this machine
_EXAMPLES: Mapping[tuple[str, str], str] = {  # names that a user chooses
    ("i2c", "registers"): "lux",
    ("pipeline.decision", "labels"): "Egyptian cat",
    ("system", "channels"): "disk",
}
_SENSORS = {"iio": "attic", "system": "board", "gpio": "door"}  # their names elsewhere in the file
_INPUTS = {"loud": "{kind: sound, path: doorbell.wav, window_s: 0.5}"}  # of what a task works on
_TASKS = {"window": "anomaly", "text": "text", "sound": "classify"}  # of what a source gives


def reference() -> str:
    """Return the text of the file."""
    lines = [sample.MODELINE, *_HEAD]
    blocks = {
        "sinks": _sinks,
        "catalogues": _catalogues,
        "sensors": _sensors,
        "cameras": _cameras,
        "pipelines": _pipelines,
    }
    for name, info in Config.model_fields.items():
        lines.append("")
        if name in blocks:
            lines += sample.described(f"{name}:", info.description or "", "")
            lines += blocks[name]()
        elif name in _FIXED:
            lines += sample.entry(name, info, _FIXED[name], "")
        else:
            lines += _key(name, name, info, "")
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _block(kind: str, fields: Mapping[str, FieldInfo], indent: str) -> Iterator[str]:
    """Write all keys of a block.

    Args:
        kind: the driver's kind, or another word for the block, with the keys below it.
        fields: its keys.
        indent: spaces before each.
    """
    for name, info in fields.items():
        yield from _key(kind, name, info, indent)


def _key(kind: str, name: str, info: FieldInfo, indent: str) -> Iterator[str]:
    """Write a key with everything that is in it."""
    declared = declarations.of_field(info)
    model = declarations.block(declared, None)
    of_map, of_list = declarations.child(declared, None, ""), declarations.child(declared, None, 0)
    if name == "kind" and kind in sources.kinds() + sensors.kinds() + tasks.kinds() + sinks.kinds():
        yield f"{indent}kind: {kind}"
    elif (kind, name) in _VALUES:
        yield from sample.entry(name, info, _VALUES[kind, name], indent)
    elif model is not None:
        yield from sample.described(f"{indent}{name}:", info.description or "", indent)
        yield from _block(f"{kind}.{name}", model.model_fields, f"{indent}  ")
    elif of_map is not None and of_map.model is not None:
        yield from sample.described(f"{indent}{name}:", info.description or "", indent)
        yield f"{indent}  {_EXAMPLES.get((kind, name), 'x')}:"
        yield from _block(f"{kind}.{name}", of_map.model.model_fields, f"{indent}    ")
    elif of_list is not None and of_list.model is not None:
        yield from sample.described(f"{indent}{name}:", info.description or "", indent)
        lines = list(_block(f"{kind}.{name}", of_list.model.model_fields, f"{indent}    "))
        first = next(number for number, line in enumerate(lines) if not line.lstrip().startswith("##"))
        lines[first] = f"{indent}  - {lines[first].lstrip()}"
        yield from lines
    else:
        yield from sample.default(name, info, indent)


def _drivers(drivers: ByKind[Any], indent: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each kind, and its keys."""
    for kind in drivers.kinds():
        yield kind, list(_block(kind, drivers.config(kind).model_fields, indent))


def _sinks() -> Iterator[str]:
    for kind in sinks.kinds():
        yield f"  copy-{kind}:"
        yield from _block(kind, sinks.load(kind).Config.model_fields, "    ")


def _catalogues() -> Iterator[str]:
    yield "  ours:"
    yield from _block("catalogues", CatalogueSection.model_fields, "    ")


def _sensors() -> Iterator[str]:
    for kind, lines in _drivers(SENSORS, "    "):
        yield f"  {_SENSORS.get(kind, f'a-{kind}')}:"
        yield from lines


def _cameras() -> Iterator[str]:
    yield "  ## A source of pictures, which several pipelines share: `camera: yard` in the place of `source`."
    yield "  yard: {kind: v4l2}"


def _pipelines() -> Iterator[str]:
    inputs, jobs = dict(_drivers(SOURCES, "      ")), dict(_drivers(TASKS, "      "))
    yield "  ## All keys of a pipeline; those below have them, too."
    yield "  porch:"
    for name, info in PipelineSection.model_fields.items():
        if name == "source":
            yield "    source:"
            yield from inputs.pop("v4l2")
        elif name == "task":
            yield from ("    task:", *jobs.pop("classify"))
        elif name not in {"teach", "then"}:
            yield from _key("pipeline", name, info, "    ")
    yield from ("", "  taught:", "    source: {kind: synthetic}", "    model: {taught: door}")
    yield from _key("pipeline", "teach", PipelineSection.model_fields["teach"], "    ")
    yield from ("", "  closer:", "    source: {kind: synthetic}", "    task: {kind: detect}")
    yield from _key("pipeline", "then", PipelineSection.model_fields["then"], "    ")
    for kind, lines in inputs.items():
        yield from ("", f"  from-{kind}:", "    source:", *lines)
        gives = SOURCES.config(kind).gives
        task = _TASKS.get(gives, "detect")
        if gives == "text":
            yield "    model: {name: replies}"
        yield from ("    task:", *jobs.pop(task)) if task in jobs else (f"    task: {{kind: {task}}}",)
    for kind, lines in jobs.items():
        yield from (
            "",
            f"  to-{kind}:",
            f"    source: {_INPUTS.get(kind, '{kind: synthetic}')}",
            "    task:",
            *lines,
        )
