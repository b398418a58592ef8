"""Each of ``sensors:`` is checked by the driver that its ``kind`` names."""

from __future__ import annotations

from typing import Annotated

from edged import sensors
from edged.config.driver_sections import ByKind
from edged.sensors import SensorConfig

SENSORS = ByKind("sensor", SensorConfig, sensors.kinds, sensors.load)
AnySensor = Annotated[SensorConfig, SENSORS]
