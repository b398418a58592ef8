"""Opens and reads each sensor once, for ``edged doctor``: all at a time, each with its own deadline."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from edged import sensors
from edged.errors import DriverError, Reason, Unavailable
from edged.sensors import Quality
from edged.worker.sensor_shaping import Channel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.sensors import Reading, Sensor, SensorConfig

ATTEMPTS = 3  # a DHT22 fails one read in three
PAUSE_S = 2.0  # between them: a DHT22 may not be read more often
WARM_S = 6.0  # the longest wait for a chip that warms up


def read_once(configs: Mapping[str, SensorConfig]) -> dict[str, dict[str, Any]]:
    """Return for each sensor its ``readings``, or the ``problem`` and whether it is ``absent``."""
    found: dict[str, dict[str, Any]] = {}
    threads = {
        name: threading.Thread(target=_try, args=(name, config, found), daemon=True)
        for name, config in configs.items()
    }
    for thread in threads.values():
        thread.start()
    began = time.monotonic()
    for name, thread in threads.items():
        thread.join(max(0.0, began + longest_s(configs[name]) - time.monotonic()))
        if name not in found:
            hung = f"no answer within {configs[name].deadline_s:g} s: its bus or its driver hangs"
            found[name] = {"problem": hung, "absent": False}
    return found


def longest_s(config: SensorConfig) -> float:
    """Return the time that a sensor may take."""
    return min(config.first_after_s, WARM_S) + (ATTEMPTS + 1) * config.deadline_s + ATTEMPTS * PAUSE_S


def _try(name: str, config: SensorConfig, found: dict[str, dict[str, Any]]) -> None:
    try:
        sensor = sensors.load(config.kind).create(config)
        try:
            sensor.open()
            time.sleep(min(config.first_after_s, WARM_S))
            found[name] = {"readings": [_told(reading) for reading in _readings(sensor, config)]}
        finally:
            sensor.close()
    except Unavailable as error:
        found[name] = {"problem": str(error), "absent": error.reason is Reason.ABSENT}
    except DriverError as error:
        found[name] = {"problem": str(error), "absent": False}
    except Exception as error:  # noqa: BLE001 - a driver of another package may raise anything
        found[name] = {"problem": f"{type(error).__name__}: {error}", "absent": False}


def _readings(sensor: Sensor, config: SensorConfig) -> list[Reading]:
    """Read until something is good; return the readings as they would be published."""
    channels = {channel: Channel(config, channel) for channel in config.gives()}
    readings: list[Reading] = []
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE_S)
        taken = [channels[r.channel].take(r, time.monotonic()).seen for r in sensor.read()]
        readings = [reading for reading in taken if reading is not None] or readings
        if any(reading.quality is Quality.GOOD for reading in readings):
            break
    return readings


def _told(reading: Reading) -> dict[str, Any]:
    return {
        "channel": reading.channel,
        "value": reading.value,
        "unit": reading.unit,
        "quality": reading.quality.value,
        "reason": reading.reason,
    }
