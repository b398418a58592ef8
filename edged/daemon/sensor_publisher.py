"""Hears the sensor worker and tells the world: retained topics, so that who comes later knows them.

```
 Sensors ──reading──▶ SensorPublisher ──▶ retain     <sensor>/state or <sensor>/<channel>/state
                                   ──▶ line       where there is no broker
         ──sensor───▶              ──▶ retain     <sensor>/availability
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.daemon import readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.daemon.publisher import EventPublisher
    from edged.ipc.sensor_messages import SensorState
    from edged.sensors import Reading, SensorConfig


class SensorPublisher:
    """The listener of the sensor worker.

    Args:
        publisher: keeps topics at their values, also through a change of outlets.
        node: this one's name.
    """

    def __init__(self, publisher: EventPublisher, node: str) -> None:
        self._publisher = publisher
        self._node = node
        self._configs: dict[str, SensorConfig] = {}

    def sensors(self, configs: Mapping[str, SensorConfig]) -> None:
        """The configuration has these sensors from now on; the topics of others are cleared."""
        gone = _topics(self._configs) - _topics(configs)
        self._configs = dict(configs)
        self._publisher.forget(sorted(gone))
        for name in configs:
            self._publisher.retain(f"{name}/availability", "offline")

    def reading(self, sensor: str, reading: Reading) -> None:
        """Send a reading as the configuration says."""
        config = self._configs.get(sensor)
        if config is None:
            return  # the last words of a sensor that was removed
        message = readings.message(config, reading)
        if message is not None:
            self._publisher.retain(readings.topic(sensor, reading.channel), message.decode())
        line = readings.line(self._node, sensor, config, reading)
        if line is not None:
            self._publisher.line(line)

    def sensor(self, status: SensorState) -> None:
        """Bring the sensor's availability up to date."""
        if status.name in self._configs:
            online = "online" if status.state == "running" else "offline"
            self._publisher.retain(f"{status.name}/availability", online)

    def offline(self) -> None:
        """The daemon stops: nothing is read any more."""
        for name in self._configs:
            self._publisher.retain(f"{name}/availability", "offline")


def _topics(configs: Mapping[str, SensorConfig]) -> set[str]:
    """Return every topic that the sensors may have."""
    states = {readings.topic(name, channel) for name, config in configs.items() for channel in config.gives()}
    return states | {f"{name}/availability" for name in configs}
