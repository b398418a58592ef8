"""The process that reads the sensors: a fresh interpreter, cut off from the network before it opens one.

The fork server starts it as ``python -m edged.worker.sensor_process PIPE SETTINGS PAGE PARENT``: descriptors,
and the fork server's process id. The settings are JSON: ``{"isolation": …, "walls": […], "sensors": {name:
keys}, "looked_at": [channel], "followed": [channel]}``. It ends when main closes the pipe, or with the fork
server.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from edged.config import needs
from edged.config.sensor import SENSORS
from edged.ipc import sensor_messages
from edged.ipc.readings_page import Writer, name_of
from edged.system import clock, isolation, sandbox
from edged.system.kernel import close_memory, die_with_parent, name_process
from edged.worker.sensor_runner import SensorRunner

if TYPE_CHECKING:
    from edged.ipc.sensor_messages import SensorState
    from edged.sensors import Reading, SensorConfig

ALIVE_S = 1.0
STOP_S = 0.5


class Reports:
    """Sends the readings that may leave; ends this process when main is gone.

    Args:
        pipe: the pipe to main.
        configs: the sensors, by name; a channel with ``publish: none`` never enters the pipe.
        readings_page: takes the readings that pipelines look at.
    """

    def __init__(self, pipe: socket.socket, configs: dict[str, SensorConfig], readings_page: Writer) -> None:
        self._pipe = pipe
        self._readings_page = readings_page
        self._configs = configs

    def send(self, message: sensor_messages.Message) -> None:
        """Send a message; wait where main is behind."""
        try:
            self._pipe.send(sensor_messages.encode(message))
        except OSError:
            os._exit(0)

    def seen(self, sensor: str, reading: Reading) -> None:
        """Write a reading on the readings page."""
        self._readings_page.put(
            name_of(sensor, reading.channel),
            reading.unit,
            reading.value,
            quality=reading.quality.value,
            ts=reading.ts,
            at=clock.monotonic(),
            fresh_s=self._configs[sensor].stale_s,
        )

    def published(self, sensor: str, reading: Reading) -> None:
        """Send a reading."""
        if self._configs[sensor].shaping(reading.channel, "publish") == "none":
            return
        self.send(
            sensor_messages.Measured(
                sensor,
                reading.channel,
                reading.value,
                reading.unit,
                max(0.0, reading.ts),
                reading.quality.value,
                reading.reason,
            )
        )

    def changed(self, status: SensorState) -> None:
        """Send the state of a sensor."""
        self.send(status)


def main(arguments: list[str]) -> int:
    """Read sensors until main closes the pipe."""
    pipe_fd, order_fd, readings_page_fd, parent = map(int, arguments)
    for sent in (signal.SIGINT, signal.SIGTERM):  # to the whole group, say; main is the one to stop in order
        signal.signal(sent, lambda *_: None)  # not SIG_IGN, which the programs of kind command would inherit
    die_with_parent(parent)
    name_process("edged:sensors")
    close_memory()
    logging.basicConfig(stream=sys.stderr, format="<4>%(message)s")
    with open(order_fd, "rb") as file:  # noqa: PTH123 - it is a descriptor, not a path
        order: dict[str, Any] = json.load(file)
    configs = {name: SENSORS.read(keys) for name, keys in order["sensors"].items()}
    pipe = socket.socket(fileno=pipe_fd)
    reports = Reports(pipe, configs, Writer(readings_page_fd, order["looked_at"], order["followed"]))
    os.close(readings_page_fd)
    own = sandbox.confine(needs.of_sensors(configs.values()))
    walls = isolation.ordered({*order["walls"], *own.holds})
    if order["isolation"] == "required" and not isolation.suffices(walls):
        reports.send(
            sensor_messages.Refused(
                f"{isolation.not_isolated('the sensor worker', walls)}; {isolation.REMEDY}"
            )
        )
        return os.EX_NOPERM
    reports.send(sensor_messages.Up(walls))
    runner = SensorRunner(configs, reports)
    runner.start()
    status = _serve(pipe, reports, runner, own)
    runner.stop(STOP_S)
    return status


def _serve(pipe: socket.socket, reports: Reports, runner: SensorRunner, walls: sandbox.Walls) -> int:
    """Send a sign of life every second, until main closes its end; return the exit status."""
    over = threading.Event()

    def listen() -> None:
        try:
            while pipe.recv(64):
                pass
        finally:
            over.set()

    threading.Thread(target=listen, name="main", daemon=True).start()
    while not over.wait(ALIVE_S):
        reports.send(sensor_messages.Alive())
        if any(sensor.state == "waiting" for sensor in runner.status().values()) and walls.outdated():
            return os.EX_TEMPFAIL  # a device was plugged in again: a new worker is needed to open it
    return os.EX_OK


if __name__ == "__main__":
    status = main(sys.argv[1:])
    os._exit(status)  # does not wait for threads that hang in the kernel
