"""Main's side of the sensor process: one process for all sensors, restarted when it ends or falls silent.

::

    SensorWorker ──settings (memfd)──▶ fork server ──▶ python -m edged.worker.sensor_process
         ◀──pipe── up · measured · sensorstate · alive

A sensor that hangs is only reported: a new process would interrupt its neighbours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from typing import TYPE_CHECKING, Protocol

from edged.ipc import sensor_messages
from edged.ipc.codec import WireError
from edged.ipc.sensor_messages import SensorState
from edged.sensors import Quality, Reading
from edged.supervisor.pipe_end import PipeEnd
from edged.system import clock, shared_memory
from edged.system.backoff import between_restarts
from edged.system.isolation import not_isolated, suffices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.ipc.sensor_messages import Message
    from edged.sensors import SensorConfig
    from edged.supervisor.forkserver_client import ForkServer
    from edged.system.ending import Ending
    from edged.system.processes import Process

log = logging.getLogger(__name__)

SILENT_S = 10.0  # without a sign of life for this long, the process is replaced
START_S = 60.0  # until the first sign of life: imports take long on a slow board


class SensorListener(Protocol):
    """Receives what happens to sensors, on the event loop."""

    def reading(self, sensor: str, reading: Reading) -> None:
        """Take a reading that may leave."""

    def sensor(self, status: SensorState) -> None:
        """Take the state of a sensor that changed."""


class SensorWorker:
    """Keeps the sensor process running. Everything on one event loop.

    Args:
        listener: receives readings and states.
        readings_page: a descriptor of the page on which the process writes what pipelines need.
        forkserver: starts the process.
    """

    def __init__(self, listener: SensorListener, readings_page: int, forkserver: ForkServer) -> None:
        self._forkserver = forkserver
        self._readings_page = readings_page
        self._looked_at: tuple[str, ...] = ()
        self._followed: tuple[str, ...] = ()
        self._listener = listener
        self._configs: dict[str, SensorConfig] = {}
        self._isolation = "required"
        self._status: dict[str, SensorState] = {}
        self._process: Process | None = None
        self._starting: asyncio.Task[None] | None = None
        self._pipe: PipeEnd[Message] | None = None
        self._heard_at = 0.0
        self._is_up = False
        self._refused = ""
        self._backoff = between_restarts()
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._replaced = False  # the configuration changed, and the process ends for it
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process id, while there is a process."""
        return self._process.pid if self._process is not None else None

    def status(self) -> Mapping[str, SensorState]:
        """Return the state of each sensor, by name."""
        return dict(self._status)

    def apply(
        self,
        configs: Mapping[str, SensorConfig],
        isolation: str = "required",
        looked_at: tuple[str, ...] = (),
        followed: tuple[str, ...] = (),
    ) -> bool:
        """Read these sensors from now on, in a new process; return whether that changes anything.

        Args:
            configs: the sensors, by name.
            isolation: required | optional.
            looked_at: the channels to be written on the readings page.
            followed: those of which the page keeps every reading for a while.
        """
        now = (self._configs, self._isolation, self._looked_at, self._followed)
        if (dict(configs), isolation, looked_at, followed) == now:
            return False
        self._looked_at, self._followed = looked_at, followed
        self._configs, self._isolation, self._refused = dict(configs), isolation, ""
        self._status = {name: SensorState(name, "starting") for name in configs}
        self._cancel_timer()
        if self._starting is not None and not self._starting.done():
            self._starting.cancel()
        if self._process is not None:
            self._replaced = True
            self._close_pipe()
            self._kill()  # the next one is started when this one is gone
        elif configs:
            self._start()
        return True

    def waits(self) -> bool:
        """Return whether a sensor waits for its device."""
        return any(status.state == "waiting" for status in self._status.values())

    async def stop(self, timeout_s: float) -> None:
        """Ask the process to end; kill it after the timeout."""
        self._stopping = True
        self._cancel_timer()
        await self._stop_starting()
        if self._process is not None:
            self._ended.clear()
            self._close_pipe()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), timeout_s)
        if self._process is not None:
            self._process.kill()
            self._release()

    async def _stop_starting(self) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)

    # The process.

    def _start(self) -> None:
        self._timer = None
        self._starting = asyncio.get_running_loop().create_task(self._begin())

    async def _begin(self) -> None:
        pipe = self._pipe = PipeEnd(sensor_messages.CODEC, take=self._take, misbehaved=self._misbehaved)
        settings = -1
        try:
            await self._forkserver.ready()
            settings = self._settings()
            process = await self._forkserver.start_sensors(
                [pipe.theirs.fileno(), settings, self._readings_page]
            )
        except OSError as error:
            log.error("the sensor worker cannot be started: %s", error)  # noqa: TRY400 - a sentence for people
            self._close_pipe()
            self._start_later()
            return
        except BaseException:
            self._close_pipe()
            raise
        finally:
            pipe.close_theirs()
            if settings >= 0:
                os.close(settings)
        self._process = process
        process.when_it_ends(self._exited)
        self._is_up, self._heard_at = False, clock.monotonic()
        pipe.listen()
        self._timer = asyncio.get_running_loop().call_later(1.0, self._watch)

    def _settings(self) -> int:
        """Return a descriptor with the sensors: they may be larger than a datagram or a command line."""
        sensors = {
            name: {**config.model_dump(mode="json", exclude_defaults=True), "kind": config.kind}
            for name, config in self._configs.items()
        }
        settings = {
            "isolation": self._isolation,
            "walls": self._forkserver.walls,
            "sensors": sensors,
            "looked_at": self._looked_at,
            "followed": self._followed,
        }
        return shared_memory.constant("edged-sensors", json.dumps(settings).encode())

    def _watch(self) -> None:
        """Replace a process that gives no sign of life."""
        silent_s = clock.monotonic() - self._heard_at
        if silent_s > (SILENT_S if self._is_up else START_S):
            log.error("the sensor worker gave no sign of life for %.0f s; replacing it", silent_s)
            self._kill()
        self._timer = asyncio.get_running_loop().call_later(1.0, self._watch)

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _exited(self, how: Ending) -> None:
        if self._pipe is not None:
            self._pipe.drain()
        self._release()
        self._ended.set()
        replaced, self._replaced = self._replaced, False
        if self._stopping or not self._configs:
            return
        if replaced or how.wanted:
            self._start()
            return
        error = self._refused or f"the sensor worker {how}; starting another one"
        log.error("%s", error)
        for name in self._configs:
            self._changed(SensorState(name, "waiting", error, 0, self._status[name].faults + 1))
        self._start_later()

    def _start_later(self) -> None:
        pause_s = self._backoff.pause_s(clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._start)

    def _release(self) -> None:
        self._close_pipe()
        self._cancel_timer()
        self._process = None

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            self._pipe.close()
            self._pipe = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # Its messages.

    def _misbehaved(self, what: str) -> None:
        log.error("the sensor worker %s; replacing it", what)
        self._kill()

    def _take(self, message: Message) -> None:
        self._heard_at = clock.monotonic()
        match message:
            case sensor_messages.Up():
                self._is_up = True
                if not suffices(message.isolation):
                    log.warning("%s", not_isolated("the sensor worker", message.isolation))
            case sensor_messages.Refused():
                self._refused = message.message
            case sensor_messages.Measured():
                self._measured(message)
            case SensorState():
                if message.name not in self._configs:
                    raise WireError("a sensor that is not configured")
                self._changed(message)

    def _measured(self, message: sensor_messages.Measured) -> None:
        config = self._configs.get(message.sensor)
        if config is None or message.channel not in config.gives():
            raise WireError("a channel that is not configured")
        quality = Quality(message.quality)
        self._listener.reading(
            message.sensor,
            Reading(message.channel, message.value, message.unit, message.ts, quality, message.reason),
        )

    def _changed(self, status: SensorState) -> None:
        before = self._status.get(status.name)
        self._status[status.name] = status
        if before is None or (before.state, before.last_error) != (status.state, status.last_error):
            self._listener.sensor(status)
        if before is not None and before.state != status.state:
            bad = status.state not in ("running", "starting")
            level = logging.WARNING if bad else logging.INFO
            error = f": {status.last_error}" if bad else ""
            log.log(level, "sensor %s: %s%s", status.name, status.state, error)
