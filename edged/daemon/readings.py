"""How a reading leaves: its topic and its message, or its line, as far as the configuration lets it out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.sensors import Quality
from edged.system import clock

if TYPE_CHECKING:
    from edged.sensors import Reading, SensorConfig

VERSION = 1


def topic(sensor: str, channel: str) -> str:
    """Return the topic below the node's: ``attic/state``, or ``air/pm2_5/state`` where there are several."""
    return f"{sensor}/{channel}/state" if channel else f"{sensor}/state"


def message(config: SensorConfig, reading: Reading) -> bytes | None:
    """Return what is sent of a reading, or None where nothing of it leaves.

    ``json`` says the value with its unit, time and quality. ``bare`` is the value alone, as mqtt-io sends it;
    it cannot say what it is worth, so only what is good is sent. ``none`` stays here.
    """
    match config.shaping(reading.channel, "publish"):
        case "json":
            return _json(reading)
        case "bare" if reading.quality is Quality.GOOD and reading.value is not None:
            return _bare(reading.value)
    return None


def line(node: str, sensor: str, config: SensorConfig, reading: Reading) -> bytes | None:
    """Return a reading as one of the JSON lines that there are without a broker; None where it stays here.

    A line has no topic, so it says whose reading it is; what is published ``bare`` is no exception::

        {"v":1,"type":"reading","node":"n","sensor":"air","channel":"pm2_5","value":4.0,"unit":"µg/m³",…}
    """
    if message(config, reading) is None:
        return None
    whose = {"type": "reading", "node": node, "sensor": sensor}
    if reading.channel:
        whose["channel"] = reading.channel
    return _dumped({"v": VERSION, **whose, **_fields(reading)})


def _json(reading: Reading) -> bytes:
    return _dumped({"v": VERSION, **_fields(reading)})


def _fields(reading: Reading) -> dict[str, object]:
    data: dict[str, object] = {
        "value": reading.value,
        "unit": reading.unit,
        "ts": clock.rfc3339(reading.ts),
        "quality": reading.quality.value,
    }
    if reading.reason:
        data["reason"] = reading.reason
    return data


def _dumped(data: dict[str, object]) -> bytes:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _bare(value: float | bool) -> bytes:
    if isinstance(value, bool):
        return b"ON" if value else b"OFF"
    whole = value == int(value) and abs(value) < 1e15
    return str(int(value) if whole else value).encode()
