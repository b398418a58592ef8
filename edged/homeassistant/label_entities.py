"""Entities of labels: whether a pipeline sees one now, and how many there are, each also by zone."""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.homeassistant.sensor_entities import READ, available

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Component = dict[str, Any]
MOST_ENTITIES = 64  # of one pipeline


@dataclass(frozen=True)
class Watched:
    """The labels of a pipeline that have entities.

    Attributes:
        labels: the labels.
        by_label: each is decided by itself, so several may be there at the same time.
        counted: how many there are is known.
        zones: the names of its zones; empty: the whole picture.
        closer: a second model looks at what is there.
    """

    labels: tuple[str, ...]
    by_label: bool = False
    counted: bool = False
    zones: tuple[str, ...] = ()
    closer: bool = False


def components(base: str, watched: Mapping[str, Watched], titles: Mapping[str, str]) -> dict[str, Component]:
    """Return the components of all watched labels, by id.

    Args:
        base: the node's topic.
        watched: the labels, by pipeline.
        titles: the pipelines' names for people, by name.
    """
    made: dict[str, Component] = {}
    for pipeline, what in watched.items():
        found = list(_of_pipeline(base, pipeline, what, titles[pipeline]))
        made |= dict(found[:MOST_ENTITIES])
    return made


def _of_pipeline(base: str, pipeline: str, watched: Watched, title: str) -> Iterator[tuple[str, Component]]:
    topic = f"{base}/{pipeline}"
    common = {
        "stat_t": f"{topic}/state",
        **available(base, topic),
    }
    if watched.closer:
        yield (
            f"{pipeline}_closer_look",
            {
                "p": "sensor",
                "name": f"{title} closer look",
                "ic": "mdi:magnify",
                "val_tpl": f"{READ}{{{{ (v.then | default([{{}}]))[0].label | default('None') }}}}",
                **common,
            },
        )
    for label in watched.labels:
        for zone in ("", *watched.zones):
            id_, name = f"{pipeline}_{slug(label)}", f"{title} {label}"
            if zone:
                id_, name = f"{id_}_at_{zone}", f"{name} {zone.replace('-', ' ')}"
            number, start = _number(watched, label, zone), f"{READ}{{{{ 'None' if v.label is not defined"
            yield (
                f"{id_}_present",
                {
                    "p": "binary_sensor",
                    "name": name,
                    "dev_cla": "occupancy",
                    "val_tpl": f"{start} else 'ON' if {number} else 'OFF' }}}}",
                    **common,
                },
            )
            if watched.counted:
                yield (
                    f"{id_}_count",
                    {
                        "p": "sensor",
                        "name": f"{name} count",
                        "ic": "mdi:counter",
                        "stat_cla": "measurement",
                        "val_tpl": f"{start} else {number} }}}}",
                        **common,
                    },
                )


def _number(watched: Watched, label: str, zone: str) -> str:
    """Return the template's expression for how many there are."""
    text = json.dumps(label, ensure_ascii=False)  # a literal of the templates, too
    if not watched.by_label:
        return f"(1 if v.label == {text} else 0)"
    if zone:
        return f"(v.zones | default({{}})).get('{zone}', {{}}).get({text}, 0)"
    return f"(v.present | default({{}})).get({text}, 0)"


def slug(label: str) -> str:
    """Return a label for ids: what is lost of it, a checksum tells."""
    plain = re.sub(r"[^a-z0-9]+", "_", label.lower()).strip("_")
    if plain.replace("_", " ") == label:
        return plain
    return f"{plain[:40]}_{zlib.crc32(label.encode()) & 0xFFFF:04x}"
