"""Home Assistant's MQTT device discovery: this node as one device, announced, kept up to date and withdrawn.

The retained message on ``<prefix>/device/<node>/config`` is the only memory: it is read back after each
connect, so that pipelines which are gone get their removal stubs and nothing is withdrawn that was never
announced, without a file of our own.

Home Assistant (2025.4 and 2026.11 were tried) is easily upset: of two discoveries back to back it takes only
the first component of the second, an unknown key at the top makes it refuse the whole device, one inside a
component is dropped silently, and a component that is merely left out is not removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import edged
from edged.homeassistant import label_entities, label_events, sensor_entities
from edged.homeassistant.sensor_entities import READ, available

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.homeassistant.label_entities import Watched
    from edged.sensors import SensorConfig

MAX_STUBS = 100  # of components that are gone
FINE = ("running", "starting", "ended", "disabled")  # states of a pipeline in health without a problem

Component = dict[str, Any]


def payload(
    node: str,
    pipelines: Sequence[str],
    previous: Mapping[str, str] | None = None,
    *,
    prefix: str = "edged",
    sensors: Mapping[str, SensorConfig] | None = None,
    watched: Mapping[str, Watched] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Build the discovery payload of a node.

    Args:
        node: the node's name.
        pipelines: the names of its pipelines.
        previous: component ids announced before, with their platforms; one that is gone gets a removal stub.
        prefix: the MQTT prefix of edged.
        sensors: the sensors' configuration, by name.
        watched: the labels that have entities of their own, by pipeline.

    Returns:
        The payload, and all its component ids with their platforms, stubs included: the next ``previous``.
    """
    base = f"{prefix}/{node}"
    components = _node(base)
    for pipeline in pipelines:
        components |= _pipeline(base, pipeline, node)
    components |= sensor_entities.components(
        base, sensors or {}, {name: title(name, node) for name in sensors or {}}
    )
    for of_labels in (label_entities.components, label_events.components):
        components |= of_labels(base, watched or {}, {name: title(name, node) for name in watched or {}})
    for kind, component in components.items():
        component |= {"uniq_id": f"edged_{node}_{kind}", "qos": 1}
    gone = [id_ for id_ in sorted(previous or {}) if id_ not in components][:MAX_STUBS]
    stubs = {id_: {"p": (previous or {})[id_]} for id_ in gone}
    cmps = components | stubs
    data = {
        "dev": {
            "ids": [f"edged_{node}"],
            "name": node,
            "mf": "edged",
            "mdl": "On-device classifier",
            "sw": edged.__version__,
        },
        "o": {"name": "edged", "sw": edged.__version__},
        "avty": [{"t": f"{base}/status"}],
        "cmps": cmps,
    }
    return data, {id_: component["p"] for id_, component in cmps.items()}


def _node(base: str) -> dict[str, Component]:
    """Return the three entities of the node."""
    health = f"{base}/health"
    return {
        "node_problem": {
            "p": "binary_sensor",
            "name": "Problem",
            "dev_cla": "problem",
            "ent_cat": "diagnostic",
            "stat_t": health,
            "val_tpl": READ + "{{ 'OFF' if v.status | default('') == 'ok' else 'ON' }}",
            "json_attr_t": health,
            "json_attr_tpl": READ + "{{ {'problems': v.problems | default([])} | to_json }}",
        },
        "node_queue": {
            "p": "sensor",
            "name": "Queued events",
            "ic": "mdi:tray-full",
            "ent_cat": "diagnostic",
            "stat_cla": "measurement",
            "unit_of_meas": "events",
            "stat_t": health,
            "val_tpl": READ + "{{ v.queue | default('None') }}",
        },
        "node_uptime": {
            "p": "sensor",
            "name": "Uptime",
            "dev_cla": "duration",
            "ent_cat": "diagnostic",
            "stat_cla": "measurement",
            "unit_of_meas": "s",
            "sug_dsp_prc": 0,
            "stat_t": health,
            "val_tpl": READ + "{{ v.uptime_s | int if v.uptime_s is defined else 'None' }}",
        },
    }


def _pipeline(base: str, pipeline: str, node: str) -> dict[str, Component]:
    """Return the five entities of a pipeline.

    Only label and score depend on the pipeline's availability: the switch must work while it is off, and the
    problem must show while its camera is away.
    """
    name = title(pipeline, node)
    return _decided(base, pipeline, name) | _switch(base, pipeline, name) | _in_health(base, pipeline, name)


def _decided(base: str, pipeline: str, name: str) -> dict[str, Component]:
    """Return the label and its score."""
    topic = f"{base}/{pipeline}"
    seen = {
        "stat_t": f"{topic}/state",
        **available(base, topic),
    }
    return {
        f"{pipeline}_label": {
            "p": "sensor",
            "name": name,
            "ic": "mdi:tag-text-outline",
            "val_tpl": READ + "{{ v.label | default('None') }}",
            "json_attr_t": f"{topic}/state",
            "json_attr_tpl": (
                f"{READ}{{{{ {{'previous': v.previous | default(none), 'since': v.since | default(none),"
                " 'accelerator': v.accelerator | default(none),"
                " 'degraded': v.degraded | default(none)} | to_json }}"
            ),
            **seen,
        },
        f"{pipeline}_score": {
            "p": "sensor",
            "name": f"{name} score",
            "ic": "mdi:percent-outline",
            "stat_cla": "measurement",
            "unit_of_meas": "%",
            "val_tpl": READ + "{{ (v.score * 100) | round(1) if v.score is defined else 'None' }}",
            **seen,
        },
    }


def _switch(base: str, pipeline: str, name: str) -> dict[str, Component]:
    topic = f"{base}/{pipeline}"
    return {
        f"{pipeline}_enabled": {
            "p": "switch",
            "name": f"{name} enabled",
            "ic": "mdi:cctv",
            "cmd_t": f"{topic}/enabled/set",
            "stat_t": f"{topic}/enabled/state",
        },
    }


def _in_health(base: str, pipeline: str, name: str) -> dict[str, Component]:
    """Return the pipeline's problem and its rate, which are in the node's health."""
    mine = f"(v.pipelines | default({{}})).get('{pipeline}', {{}})"
    return {
        f"{pipeline}_problem": {
            "p": "binary_sensor",
            "name": f"{name} problem",
            "dev_cla": "problem",
            "ent_cat": "diagnostic",
            "stat_t": f"{base}/health",
            "val_tpl": (  # unknown, and not a problem, where the health is older or newer than the pipeline
                f"{READ}{{% set state = {mine}.get('state') %}}"
                f"{{{{ 'None' if state is none else 'OFF' if state in {list(FINE)} else 'ON' }}}}"
            ),
            "json_attr_t": f"{base}/health",
            "json_attr_tpl": (
                f"{READ}{{{{ {{'state': {mine}.get('state'), 'last_error': {mine}.get('last_error'),"
                f" 'restarts': {mine}.get('restarts')}} | to_json }}}}"
            ),
        },
        f"{pipeline}_fps": {
            "p": "sensor",
            "name": f"{name} rate",
            "ic": "mdi:speedometer",
            "ent_cat": "diagnostic",
            "stat_cla": "measurement",
            "unit_of_meas": "fps",
            "sug_dsp_prc": 1,
            "stat_t": f"{base}/health",
            "val_tpl": f"{READ}{{{{ 'None' if {mine}.get('fps') is none else {mine}.get('fps') }}}}",
        },
    }


def title(pipeline: str, node: str) -> str:
    """Return a pipeline's name for people; it never begins with the device's, which would show twice."""
    words = pipeline.strip("-").replace("-", " ") or pipeline
    named = words[:1].upper() + words[1:]
    device = node.lower()
    return f"Pipeline {named}" if named.lower().startswith((device, device.replace("-", " "))) else named
