"""Checks what was set and drawn in the browser, and returns it as the configuration wants it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from edged.config.pipeline import DecisionSection, PipelineSection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.sources import SourceConfig

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_/-]*( [A-Za-z0-9_/-]+)*")
_WORDS = re.compile(r"(?i)null|true|false|yes|no|on|off|y|n")


class Wrong(ValueError):  # noqa: N818 - what a drawing is
    """What was drawn or set is not possible; the message tells why."""


def decided(section: PipelineSection, decision: object, zones: object = None) -> PipelineSection:
    """Return the pipeline with another block ``decision``, and other zones if there are any.

    Raises:
        Wrong: it is not possible.
    """
    return _with(section, {"decision": decision} | _task(section, zones))


def drawn(section: PipelineSection, shapes: Mapping[str, Any]) -> PipelineSection:
    """Return the pipeline with what was drawn on its picture.

    Args:
        section: its configuration.
        shapes: ``crop``, ``[x, y, width, height]`` in pixels or None; ``mask``, polygons in parts of the
            picture; ``zones``, such polygons by name, where the task has zones.

    Raises:
        Wrong: it is not possible.
    """
    if shapes.get("mask") and section.rotate is not None:
        raise Wrong(
            "a camera's mask is drawn as the camera has it: use a pipeline without a rotate of its own"
        )
    other = {"crop": shapes.get("crop"), "mask": shapes.get("mask", [])}
    source = {"source": section.source.model_dump(mode="json") | other}
    return _with(section, source | _task(section, shapes.get("zones")))


def _task(section: PipelineSection, zones: object) -> dict[str, Any]:
    """Return the block ``task`` with these zones; nothing where it has none."""
    if zones is None or not section.task.counts:
        return {}
    return {"task": section.task.model_dump(mode="json") | {"zones": zones}}


def source_block(name: str, section: PipelineSection) -> str:
    """Return the block with what was drawn: a crop belongs to the pipeline, and a mask to its camera.

    Args:
        name: the pipeline's name.
        section: the pipeline as it was drawn.
    """
    source = cast("SourceConfig", section.source)
    crop = {} if source.crop is None else {"crop": list(source.crop)}
    mask = {"mask": [[list(point) for point in polygon] for polygon in source.mask]} if source.mask else {}
    zones = {zone: [list(corner) for corner in corners] for zone, corners in section.task.scope.zones.items()}
    task = {"task": {"kind": section.task.kind, "zones": zones}} if zones else {}
    if not (crop or mask or task):
        return "# the whole picture: leave crop, mask and zones out\n"
    if section.camera is None:
        return "".join(
            block(key, values) for key, values in ({"source": crop | mask} | task).items() if values
        )
    of_camera = block("cameras", {section.camera: mask}) if mask else ""
    return of_camera + (block("pipelines", {name: crop | task}) if crop or task else "")


def block(name: str, values: Mapping[str, Any]) -> str:
    """Return a block of YAML to paste."""
    return "\n".join([f"{name}:", *_lines(values, "  ")]) + "\n"


def decision_block(decision: DecisionSection) -> str:
    """Return the block ``decision``, with what differs from its defaults."""
    return block("decision", decision.model_dump(mode="json", exclude_defaults=True) or {"votes": 1})


def _with(section: PipelineSection, changed: Mapping[str, Any]) -> PipelineSection:
    data = {**section.model_dump(mode="json"), **changed}
    try:
        return PipelineSection.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if not str(step).startswith("["))
        raise Wrong(f"{where}: {first['msg']}".removeprefix(": ")) from None


def _lines(values: Mapping[str, Any], indent: str) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [f"{indent}{_word(key)}:", *_lines(value, indent + "  ")]
        elif isinstance(value, list) and value and isinstance(value[0], list) and key == "mask":
            lines += [f"{indent}{_word(key)}:", *(f"{indent}  - {_value(one)}" for one in value)]
        else:
            lines.append(f"{indent}{_word(key)}: {_value(value)}")
    return lines


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    return _word(value) if isinstance(value, str) else json.dumps(value)


def _word(text: str) -> str:
    plain = _PLAIN.fullmatch(text) and not _WORDS.fullmatch(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
