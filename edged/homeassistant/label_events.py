"""Events of labels: an entity that tells when a pipeline begins to see one, and triggers of the device.

Late events, which waited while the broker was away, are left out: nobody wants the light on for who came an
hour ago. The history of what was decided is in the states, and at whoever reads the topic itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from edged.homeassistant.label_entities import slug
from edged.homeassistant.sensor_entities import READ, available

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.homeassistant.label_entities import Watched

Component = dict[str, Any]
# A pipeline with one decision goes from one label to another by a change; where each label is decided by
# itself, a change is another count of what is there already.
_BEGINS = {True: ("start",), False: ("start", "change")}
_KEPT = ("score", "previous", "zone", "count", "captured_at", "id")  # attributes, where the event has them
MOST_TRIGGERS = 50  # of one pipeline


def components(base: str, watched: Mapping[str, Watched], titles: Mapping[str, str]) -> dict[str, Component]:
    """Return the components of all watched labels, by id.

    Args:
        base: the node's topic.
        watched: the labels, by pipeline.
        titles: the pipelines' names for people, by name.
    """
    made: dict[str, Component] = {}
    for pipeline, what in watched.items():
        topic, title = f"{base}/{pipeline}", titles[pipeline]
        made[f"{pipeline}_seen"] = _entity(base, topic, title, what)
        for label in what.labels[:MOST_TRIGGERS]:
            made[f"{pipeline}_{slug(label)}_begins"] = _trigger(topic, title, label, what)
    return made


def _begins(watched: Watched) -> str:
    """Return the template's condition for an event that begins a label, now."""
    return f"v.type | default('') in {list(_BEGINS[watched.by_label])} and not v.replayed | default(false)"


def _entity(base: str, topic: str, title: str, watched: Watched) -> Component:
    labels = json.dumps(list(watched.labels), ensure_ascii=False)  # a literal of the templates, too
    kept = ", ".join(f"'{key}': v.{key} | default(none)" for key in _KEPT)
    return {
        "p": "event",
        "name": f"{title} sees",
        "ic": "mdi:eye-outline",
        "evt_typ": list(watched.labels),
        "stat_t": f"{topic}/event",
        "val_tpl": (
            f"{READ}{{% if {_begins(watched)} and v.label in {labels} %}}"
            f"{{{{ {{'event_type': v.label, {kept}}} | to_json }}}}{{% endif %}}"
        ),
        **available(base, topic),
    }


def _trigger(topic: str, title: str, label: str, watched: Watched) -> Component:
    return {
        "p": "device_automation",
        "atype": "trigger",
        "t": f"{topic}/event",
        "type": f"sees {label}",
        "stype": title,
        "pl": label,
        "val_tpl": f"{READ}{{{{ v.label if {_begins(watched)} else '' }}}}",
    }
