"""Main's side of the sensor worker: one process for all sensors, started anew when it ends or falls silent.

::

    Sensors ──order (memfd)──▶ python -m edged.worker.sensor_process
       ◀──pipe── up · measured · turned · alive                  a sensor that hangs is only said to hang:
                                                                 a new process would interrupt its neighbours
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
from typing import TYPE_CHECKING, Protocol

from edged.ipc import sensor_messages
from edged.ipc.codec import WireError
from edged.sensors import Quality, Reading
from edged.supervisor.worker_output import OutputPump
from edged.system import clock
from edged.system.backoff import between_restarts
from edged.system.child import interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.ipc.sensor_messages import Message, SensorState
    from edged.sensors import SensorConfig

log = logging.getLogger(__name__)

SILENT_S = 10.0  # without a sign of life the process is replaced
START_S = 60.0  # until the first one: imports take long on a slow board
_AT_A_TIME = 64  # messages read before others get their turn
_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}  # a heap for each thread would be memory for nothing


class SensorListener(Protocol):
    """Hears of sensors, on the event loop."""

    def reading(self, sensor: str, reading: Reading) -> None:
        """A reading that may leave."""

    def sensor(self, status: SensorState) -> None:
        """A sensor is in another state."""


class Sensors:
    """The sensor worker. Everything on one event loop.

    Args:
        listener: who hears of the sensors.
        readings_page: a descriptor of the page for what pipelines look at.
    """

    def __init__(self, listener: SensorListener, readings_page: int) -> None:
        self._readings_page = readings_page
        self._looked_at: tuple[str, ...] = ()
        self._followed: tuple[str, ...] = ()
        self._listener = listener
        self._configs: dict[str, SensorConfig] = {}
        self._isolation = "required"
        self._status: dict[str, SensorState] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: socket.socket | None = None
        self._pidfd = -1
        self._heard_at = 0.0
        self._up = False
        self._refused = ""
        self._backoff = between_restarts()
        self._outlet: OutputPump | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False
        self._replaced = False  # the configuration changed, and the process ends for it
        self._over = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        return self._process.pid if self._process is not None else None

    def status(self) -> Mapping[str, SensorState]:
        """Return how each sensor does, by name."""
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
            looked_at: the channels that are to be written on the readings page.
            followed: those of which every reading is to be kept there for a while.
        """
        now = (self._configs, self._isolation, self._looked_at, self._followed)
        if (dict(configs), isolation, looked_at, followed) == now:
            return False
        self._looked_at, self._followed = looked_at, followed
        self._configs, self._isolation, self._refused = dict(configs), isolation, ""
        self._status = {name: _starting(name) for name in configs}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._process is not None:
            self._replaced = True
            self._close_pipe()
            self._kill()  # the next one is started when it is gone
        elif configs:
            self._start()
        return True

    async def stop(self, timeout_s: float) -> None:
        """End the process: asked first, then killed."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._process is not None:
            self._over.clear()
            self._close_pipe()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), timeout_s)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._release()
        if self._outlet is not None:
            asyncio.get_running_loop().remove_reader(self._outlet.read_fd)
            self._outlet.pump()
            self._outlet.close()
            self._outlet = None

    # The process.

    def _start(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        if self._outlet is None:
            self._outlet = OutputPump()
            loop.add_reader(self._outlet.read_fd, self._outlet.pump)
        self._pipe, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pipe.setblocking(False)
        order = self._order()
        fds = [theirs.fileno(), order, self._readings_page]
        program = interpreter("edged.worker.sensor_process", *map(str, fds), str(os.getpid()))
        process = None
        try:
            process = subprocess.Popen(
                program,
                stdin=subprocess.DEVNULL,
                stdout=self._outlet.write_fd,  # standard output is for events
                stderr=self._outlet.write_fd,
                pass_fds=fds,
                env=os.environ | _ENVIRONMENT,
            )
        except OSError as error:
            log.error("the sensor worker cannot be started: %s", error)  # noqa: TRY400 - its sentence says it all
        finally:
            theirs.close()
            os.close(order)
        if process is None:
            self._pipe.close()
            self._pipe = None
            self._again()
            return
        self._process = process
        self._pidfd = os.pidfd_open(process.pid)
        self._up, self._heard_at = False, clock.monotonic()
        loop.add_reader(self._pipe, self._readable)
        loop.add_reader(self._pidfd, self._exited)
        self._timer = loop.call_later(1.0, self._watch)

    def _order(self) -> int:
        """Return a descriptor with what to do, since it may be larger than a datagram or a command line."""
        sensors = {
            name: {**config.model_dump(mode="json", exclude_defaults=True), "kind": config.kind}
            for name, config in self._configs.items()
        }
        descriptor = os.memfd_create("edged-sensors", os.MFD_CLOEXEC)
        with open(descriptor, "wb", closefd=False) as file:
            order = {
                "isolation": self._isolation,
                "sensors": sensors,
                "looked_at": self._looked_at,
                "followed": self._followed,
            }
            file.write(json.dumps(order).encode())
        os.lseek(descriptor, 0, os.SEEK_SET)
        return descriptor

    def _watch(self) -> None:
        """Replace a process that gives no sign of life."""
        silent = clock.monotonic() - self._heard_at
        if silent > (SILENT_S if self._up else START_S):
            log.error("the sensor worker gave no sign of life for %.0f s; it is replaced", silent)
            self._kill()
        self._timer = asyncio.get_running_loop().call_later(1.0, self._watch)

    def _kill(self) -> None:
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    def _exited(self) -> None:
        self._readable()
        code = self._process.wait() if self._process is not None else 0
        self._release()
        self._over.set()
        replaced, self._replaced = self._replaced, False
        if self._stopping or not self._configs:
            return
        if replaced:
            self._start()
            return
        error = self._refused or f"the sensor worker ended (status {code}); another one is started"
        log.error("%s", error)
        for name in self._configs:
            self._turn(sensor_messages.SensorState(name, "waiting", error, 0, self._status[name].faults + 1))
        self._again()

    def _again(self) -> None:
        pause_s = self._backoff.pause_s(clock.monotonic())
        self._timer = asyncio.get_running_loop().call_later(pause_s, self._start)

    def _release(self) -> None:
        loop = asyncio.get_running_loop()
        self._close_pipe()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pidfd >= 0:
            loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        self._process, self._pidfd = None, -1

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            asyncio.get_running_loop().remove_reader(self._pipe)
            self._pipe.close()
            self._pipe = None

    # What it says.

    def _readable(self) -> None:
        for _ in range(_AT_A_TIME):
            if self._pipe is None:
                return
            try:
                data = self._pipe.recv(sensor_messages.MAX_BYTES + 1)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._close_pipe()  # its end is told by the process itself
                return
            self._hear(data)

    def _hear(self, data: bytes) -> None:
        try:
            self._take(sensor_messages.decode(data))
        except WireError as error:
            log.error("the sensor worker made no sense: %s", error)  # noqa: TRY400 - its sentence says it
            self._kill()
            self._close_pipe()

    def _take(self, message: Message) -> None:
        self._heard_at = clock.monotonic()
        match message:
            case sensor_messages.Up():
                self._up = True
                if not message.isolation:
                    log.warning("the sensor worker is not cut off from the network")
            case sensor_messages.Refused():
                self._refused = message.message
            case sensor_messages.Measured():
                self._measured(message)
            case sensor_messages.SensorState():
                if message.name not in self._configs:
                    raise WireError("a sensor that is not its own")
                self._turn(message)

    def _measured(self, message: sensor_messages.Measured) -> None:
        config = self._configs.get(message.sensor)
        if config is None or message.channel not in config.gives():
            raise WireError("a channel that is not its own")
        self._listener.reading(
            message.sensor,
            Reading(
                message.channel,
                message.value,
                message.unit,
                message.ts,
                Quality(message.quality),
                message.reason,
            ),
        )

    def _turn(self, status: SensorState) -> None:
        before = self._status.get(status.name)
        self._status[status.name] = status
        if before is None or (before.state, before.last_error) != (status.state, status.last_error):
            self._listener.sensor(status)
        if before is not None and before.state != status.state:
            bad = status.state not in ("running", "starting")
            error = f": {status.last_error}" if bad else ""
            log.log(
                logging.WARNING if bad else logging.INFO, "sensor %s: %s%s", status.name, status.state, error
            )


def _starting(name: str) -> SensorState:
    return sensor_messages.SensorState(name, "starting", "", 0, 0)
