"""Entities of the sensors: one for each channel that is published."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from edged.homeassistant import units

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.sensors import SensorConfig

Component = dict[str, Any]
DIAGNOSTIC = frozenset({"system", "thermal"})  # kinds that measure the board and not the world
_MISSED = 3  # publications that may be missing before the value expires

# The beginning of each template. The topics of what is removed are emptied, which may reach Home Assistant
# before the discovery that removes the entity; it logs an error where a template has no value_json.
READ = "{% set v = value_json | default({}) %}"

# Stale values are shown as they are, beside their quality; suspect and bad ones show as unknown.
_SHOWN = "v.quality | default('') in ['good', 'stale'] and v.value | default(none) is not none"
_NUMBER = f"{READ}{{{{ v.value if {_SHOWN} else 'None' }}}}"
_STATE = f"{READ}{{{{ ('ON' if v.value else 'OFF') if {_SHOWN} else 'None' }}}}"
_BARE = "{{ value }}"
_ATTRIBUTES = (
    f"{READ}{{{{ {{'quality': v.quality | default(none), 'reason': v.reason | default(none),"
    " 'measured_at': v.ts | default(none)} | to_json }}"
)


def components(
    base: str, sensors: Mapping[str, SensorConfig], titles: Mapping[str, str]
) -> dict[str, Component]:
    """Return the components of all sensors, by id.

    Args:
        base: the node's topic.
        sensors: their configuration, by name.
        titles: their names for people, by name.
    """
    made = {}
    for name, config in sensors.items():
        for channel in config.gives():
            if config.shaping(channel, "publish") != "none":
                # No other component has a dot in its id.
                made[f"{name}.{channel or 'value'}"] = _component(base, name, config, channel, titles[name])
    return made


def available(base: str, topic: str) -> Component:
    """Return the keys of what is there while both its node and its pipeline or sensor are."""
    return {"avty": [{"t": f"{base}/status"}, {"t": f"{topic}/availability"}], "avty_mode": "all"}


def _component(base: str, name: str, config: SensorConfig, channel: str, title: str) -> Component:
    quantity = config.quantity(channel)
    topic = f"{base}/{name}"
    state = f"{topic}/{channel}/state" if channel else f"{topic}/state"
    made: Component = {
        "p": "binary_sensor" if quantity.binary else "sensor",
        "name": f"{title} {channel.replace('_', ' ')}".strip(),
        "stat_t": state,
        **available(base, topic),
    }
    if config.shaping(channel, "publish") == "json":
        made["val_tpl"] = _STATE if quantity.binary else _NUMBER
        made |= {"json_attr_t": state, "json_attr_tpl": _ATTRIBUTES}
    else:  # a template too: where a discovery leaves it out, Home Assistant keeps the one before
        made["val_tpl"] = _BARE
    takes, _ = units.wrong(quantity.device_class, quantity.unit, binary=quantity.binary)
    if quantity.device_class and not takes:
        made["dev_cla"] = quantity.device_class
    if not quantity.binary:
        made["stat_cla"] = units.STATE_CLASSES.get(made.get("dev_cla", ""), "measurement")
        if quantity.unit:
            made["unit_of_meas"] = units.spelt(quantity.unit)
        decimals = config.shaping(channel, "round")
        if decimals is None:
            decimals = units.DECIMALS.get(quantity.unit)
        if decimals is not None:
            made["sug_dsp_prc"] = decimals
    expires = _expires_s(config, channel, binary=quantity.binary)
    if expires is not None:
        made["exp_aft"] = expires
    if config.kind in DIAGNOSTIC:
        made["ent_cat"] = "diagnostic"
    return made


def _expires_s(config: SensorConfig, channel: str, *, binary: bool) -> int | None:
    """Return after how long without a message it is unavailable; None where silence may mean no change."""
    period = config.heartbeat_s
    if not period and not binary and not config.shaping(channel, "deadband"):
        period = max(config.interval_s, config.aggregate.window_s if config.aggregate else 0)
    return math.ceil(_MISSED * period + config.deadline_s) if period else None
