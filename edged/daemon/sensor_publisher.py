"""Publishes what sensors read: retained topics, so that a later subscriber gets them too.

```
 SensorWorker ──reading──▶ SensorPublisher ──▶ retain    <sensor>/state or <sensor>/<channel>/state
                                           ──▶ line      where there is no broker
              ──sensor───▶                 ──▶ retain    <sensor>/availability
```
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edged.sensors import Quality
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.daemon.publisher import EventPublisher
    from edged.ipc.sensor_messages import SensorState
    from edged.sensors import Reading, SensorConfig

VERSION = 1


class SensorPublisher:
    """The listener of the sensor worker.

    Args:
        publisher: keeps topics at their values, also through a change of sinks.
        node: this node's name.
    """

    def __init__(self, publisher: EventPublisher, node: str) -> None:
        self._publisher = publisher
        self._node = node
        self._configs: dict[str, SensorConfig] = {}
        self._newest: dict[str, dict[str, Reading]] = {}  # by sensor and channel

    def sensors(self, configs: Mapping[str, SensorConfig]) -> None:
        """Publish for these sensors from now on; clear the topics of others."""
        gone = _topics(self._configs) - _topics(configs)
        self._configs = dict(configs)
        self._newest = {name: newest for name, newest in self._newest.items() if name in configs}
        self._publisher.forget(sorted(gone))
        for name in configs:
            self._publisher.retain(f"{name}/availability", "offline")

    def reading(self, sensor: str, reading: Reading) -> None:
        """Send a reading in the form that the configuration asks for."""
        config = self._configs.get(sensor)
        if config is None:
            return  # a last reading of a sensor that was removed
        if reading.channel in config.gives():
            self._newest.setdefault(sensor, {})[reading.channel] = reading
        message = message_of(config, reading)
        if message is not None:
            self._publisher.retain(topic_of(sensor, reading.channel), message.decode())
        line = line_of(self._node, sensor, config, reading)
        if line is not None:
            self._publisher.line(line)

    def newest(self) -> dict[str, tuple[Reading, ...]]:
        """Return the newest reading of each channel, by the sensor's name."""
        return {name: tuple(readings.values()) for name, readings in self._newest.items()}

    def sensor(self, status: SensorState) -> None:
        """Update the sensor's availability."""
        if status.name in self._configs:
            online = "online" if status.online else "offline"
            self._publisher.retain(f"{status.name}/availability", online)

    def offline(self) -> None:
        """Publish every sensor as offline: the daemon stops."""
        for name in self._configs:
            self._publisher.retain(f"{name}/availability", "offline")


def _topics(configs: Mapping[str, SensorConfig]) -> set[str]:
    """Return every topic that the sensors may have."""
    states = {topic_of(name, channel) for name, config in configs.items() for channel in config.gives()}
    return states | {f"{name}/availability" for name in configs}


def topic_of(sensor: str, channel: str) -> str:
    """Return the topic below the node's: ``attic/state``, or ``air/pm2_5/state`` where there are several."""
    return f"{sensor}/{channel}/state" if channel else f"{sensor}/state"


def message_of(config: SensorConfig, reading: Reading) -> bytes | None:
    """Return a reading's message, or None where it is not to be sent.

    ``publish: json`` gives the value with its unit, time and quality; ``bare`` the value alone, as mqtt-io
    sends it, and only of good readings, since it has no room for a quality; ``none`` gives nothing.
    """
    match config.shaping(reading.channel, "publish"):
        case "json":
            return _json(reading)
        case "bare" if reading.quality is Quality.GOOD and reading.value is not None:
            return _bare(reading.value)
    return None


def line_of(node: str, sensor: str, config: SensorConfig, reading: Reading) -> bytes | None:
    """Return a reading as a JSON line, for a node without a broker; None where it is not to be sent.

    A line has no topic, so it names node and sensor, also where ``publish`` is ``bare``::

        {"v":1,"type":"reading","node":"n","sensor":"air","channel":"pm2_5","value":4.0,"unit":"µg/m³",…}
    """
    if message_of(config, reading) is None:
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
