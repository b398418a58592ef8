"""Hears the sensor worker and tells the world: retained topics, so that who comes later knows them.

```
 Sensors ──reading──▶ SensorReport ──▶ retain     <sensor>/state or <sensor>/<channel>/state
                                   ──▶ line       where there is no broker
         ──sensor───▶              ──▶ retain     <sensor>/availability
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.daemon import readings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.daemon.publisher import Reporter
    from edged.ipc.sensor_messages import Turned
    from edged.sensors import Reading, SensorConfig


class SensorReport:
    """The listener of the sensor worker.

    Args:
        reporter: keeps topics at their values, also through a change of outlets.
        node: this one's name.
    """

    def __init__(self, reporter: Reporter, node: str) -> None:
        self._reporter = reporter
        self._node = node
        self._configs: dict[str, SensorConfig] = {}

    def sensors(self, configs: Mapping[str, SensorConfig]) -> None:
        """The configuration has these sensors from now on; the topics of others are cleared."""
        gone = _topics(self._configs) - _topics(configs)
        self._configs = dict(configs)
        self._reporter.forget(sorted(gone))
        for name in configs:
            self._reporter.retain(f"{name}/availability", "offline")

    def reading(self, sensor: str, reading: Reading) -> None:
        """Send a reading as the configuration says."""
        config = self._configs.get(sensor)
        if config is None:
            return  # the last words of a sensor that was removed
        message = readings.message(config, reading)
        if message is not None:
            self._reporter.retain(readings.topic(sensor, reading.channel), message.decode())
        line = readings.line(self._node, sensor, config, reading)
        if line is not None:
            self._reporter.line(line)

    def sensor(self, status: Turned) -> None:
        """Bring the sensor's availability up to date."""
        if status.name in self._configs:
            online = "online" if status.state == "running" else "offline"
            self._reporter.retain(f"{status.name}/availability", online)

    def offline(self) -> None:
        """The daemon stops: nothing is read any more."""
        for name in self._configs:
            self._reporter.retain(f"{name}/availability", "offline")


def _topics(configs: Mapping[str, SensorConfig]) -> set[str]:
    """Return every topic that the sensors may have."""
    states = {readings.topic(name, channel) for name, config in configs.items() for channel in config.gives()}
    return states | {f"{name}/availability" for name in configs}
