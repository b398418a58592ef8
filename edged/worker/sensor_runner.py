"""Runs sensors: each in a thread of its own, with its own pace, deadline and back-off.

::

    sensor thread  open ─▶ read ─▶ shape ─▶ emit ─▶ wait for the next slot (or for edges)
    sensor thread  …                                     a bus that hangs stops the thread that reads it
    watch thread   hung? stale?                          and no other

A thread that hangs in the kernel cannot be ended; it stays, and is reported as hung. When its call returns
after all, the sensor is closed and opened again.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from edged import sensors
from edged.errors import DeviceBusy, DriverError, Reason, Unavailable
from edged.ipc.sensor_messages import SensorState
from edged.sensors import EdgeSensor, Quality, Reading, turns
from edged.system import clock
from edged.system.backoff import Backoff
from edged.worker.sensor_shaping import Channel

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from edged.sensors import Sensor, SensorConfig

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 30.0)  # the first and the longest pause before a device is opened again
FLOOD_S = 0.02  # after edges: those that come together are handled together
MANY = 8  # edges handled one by one; of more, only the first and the newest
WAIT_S = 0.25  # the longest wait for edges, after which a stop is noticed
STAGGER_S = 0.004  # between the slots of two sensors, so that not all of them wake at once
WATCH_S = 0.2


class Listener(Protocol):
    """Receives readings and states; one call at a time, from any thread."""

    def seen(self, sensor: str, reading: Reading) -> None:
        """Take a judged reading, for triggers and gates."""

    def published(self, sensor: str, reading: Reading) -> None:
        """Take a reading that is to be published as configured."""

    def changed(self, status: SensorState) -> None:
        """Take the state of a sensor that changed."""


class SensorRunner:
    """Runs all sensors of a configuration.

    Args:
        configs: the sensors, by name.
        listener: receives readings and states; a call that blocks delays the reports, not the reading.
    """

    def __init__(self, configs: Mapping[str, SensorConfig], listener: Listener) -> None:
        self._stop = threading.Event()
        self._out = _InTurn(listener)
        self._loops = [
            _Loop(name, config, self._out, self._stop, number * STAGGER_S)
            for number, (name, config) in enumerate(configs.items())
        ]
        self._watcher = threading.Thread(target=self._watch, name="sensor-watch", daemon=True)

    def start(self) -> None:
        """Start reading."""
        for loop in self._loops:
            loop.thread.start()
        self._watcher.start()

    def status(self) -> dict[str, SensorState]:
        """Return the state of each sensor."""
        return {loop.name: loop.status() for loop in self._loops}

    def stop(self, timeout_s: float) -> list[str]:
        """Stop reading; return the names of the sensors whose threads hang and stay behind."""
        until = time.monotonic() + timeout_s
        self._stop.set()
        threads = {loop.name: loop.thread for loop in self._loops}
        for thread in (*threads.values(), self._watcher):
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        return [name for name, thread in threads.items() if thread.is_alive()]

    def _watch(self) -> None:
        while not self._stop.wait(WATCH_S):
            for loop in self._loops:
                loop.watch(time.monotonic())


class _InTurn:
    """Calls the listener from one thread at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._lock = threading.Lock()

    def shaped(self, sensor: str, seen: Reading | None, published: Reading | None) -> None:
        with self._lock:
            if seen is not None:
                self._listener.seen(sensor, seen)
            if published is not None:
                self._listener.published(sensor, published)

    def changed(self, status: Callable[[], SensorState]) -> None:
        """Report a state as it is when its turn comes, so that the last report is the right one."""
        with self._lock:
            self._listener.changed(status())


class _Loop:
    """One sensor with its thread."""

    def __init__(
        self, name: str, config: SensorConfig, out: _InTurn, stop: threading.Event, phase_s: float
    ) -> None:
        self.name = name
        self.thread = threading.Thread(target=self._run, name=f"sensor-{name}", daemon=True)
        self._config = config
        self._out = out
        self._stop = stop
        self._phase_s = phase_s
        given = config.gives()
        self._channels = {channel: Channel(config, channel) for channel in given}
        self._has_states = any(quantity.binary for quantity in given.values())
        self._lock = threading.Lock()  # around the channels and what follows
        self._busy_since: float | None = None  # a call into the driver began
        self._allowed_s = config.deadline_s
        self._state, self._error = "starting", ""
        self._reads = self._faults = 0
        self._logged_defect = False

    def status(self) -> SensorState:
        """Return the sensor's state."""
        with self._lock:
            return SensorState(self.name, self._state, self._error, self._reads, self._faults)

    def watch(self, now: float) -> None:
        """Report that the sensor hangs, or that its readings are stale."""
        hangs = False
        with self._lock:
            stale = [reading for channel in self._channels.values() if (reading := channel.tick(now))]
            since = self._busy_since
            if since is not None and now - since > self._allowed_s and self._state != "hung":
                hangs = self._turn("hung", f"no answer for {now - since:.1f} s", fault=True)
            silent = bool(stale) and self._state == "running"
            silent = silent and self._turn("running", stale[0].reason, fault=False)
        for reading in stale:
            self._out.shaped(self.name, reading, reading)
        if hangs or silent:
            self._out.changed(self.status)

    def _run(self) -> None:
        """Open and read, again and again, until it is stopped or the driver is missing."""
        backoff = Backoff(*PAUSES_S)
        while not self._stop.is_set():
            reads = self._reads
            try:
                sensor = sensors.load(self._config.kind).create(self._config)
                self._serve(sensor)
            except Unavailable as error:
                self._becomes("waiting", str(error), fault=True)
            except DriverError as error:
                self._becomes("failed", str(error), fault=True)
                return
            except Exception as error:  # noqa: BLE001 - a driver of another package may raise anything
                self._defect(error)
            if self._reads > reads + 1:
                backoff.reset()
            self._stop.wait(backoff.pause_s())

    def _serve(self, sensor: Sensor) -> None:
        """Open a sensor and read it until it fails; close it whatever happens."""
        try:
            with self._in_turn():
                self._call(sensor.open, self._config.deadline_s)
            first_after_s = self._config.first_after_s
            due = time.monotonic() + first_after_s + (self._phase_s if not self._reads else 0.0)
            with self._lock:
                for channel in self._channels.values():
                    channel.opened(time.monotonic() + first_after_s, clock.wall())
            while not self._rest(sensor, due):
                readings = self._read(sensor)
                self._reads += 1
                self._becomes("running", self._error)
                self._take(readings)
                missed = max(0, int((time.monotonic() - due) / self._config.interval_s))
                due += (1 + missed) * self._config.interval_s
        except turns.Waited as waited:
            raise DeviceBusy(str(waited)) from waited
        finally:
            sensor.close()

    def _in_turn(self) -> AbstractContextManager[None]:
        """Hold the device that it shares with other sensors, if it does."""
        shared = self._config.shared_device
        return turns.take(shared, self._config.deadline_s) if shared else contextlib.nullcontext()

    def _read(self, sensor: Sensor) -> Sequence[Reading]:
        """Read a sensor in its turn; its readings are bad where the turn does not come."""
        with contextlib.suppress(turns.Waited), self._in_turn():
            readings: Sequence[Reading] = self._call(sensor.read, self._config.deadline_s)
            return readings
        ts, given = clock.wall(), self._config.gives()
        reason = (
            f"{self._config.shared_device} was in use by another sensor for {self._config.deadline_s:g} s"
        )
        return [Reading(name, None, q.unit, ts, Quality.BAD, reason) for name, q in given.items()]

    def _rest(self, sensor: Sensor, due: float) -> bool:
        """Wait until the next reading is due, and take the edges that come; return whether to stop."""
        if not (self._has_states and isinstance(sensor, EdgeSensor)) or not self._reads:
            return self._stop.wait(max(0.0, due - time.monotonic()))
        while (left := due - time.monotonic()) > 0:
            timeout_s = min(left, WAIT_S)
            edges = self._call(sensor.wait, self._config.deadline_s + timeout_s, timeout_s)
            self._take(edges if len(edges) <= MANY else (edges[0], edges[-1]))
            if self._stop.wait(FLOOD_S if edges else 0):
                break
        return self._stop.is_set()

    def _call(self, function: Any, allowed_s: float, *arguments: Any) -> Any:
        """Call the driver under a deadline; a call that returns late counts as a lost sensor."""
        with self._lock:
            self._allowed_s = allowed_s
            self._busy_since = began = time.monotonic()
        try:
            result = function(*arguments)
        finally:
            with self._lock:
                self._busy_since, hung = None, self._state == "hung"
        if hung:
            raise Unavailable(Reason.TIMEOUT, f"the answer came after {time.monotonic() - began:.1f} s")
        return result

    def _take(self, readings: Sequence[Reading]) -> None:
        now = time.monotonic()
        for reading in readings:
            channel = self._channels.get(reading.channel)
            if channel is None:
                raise RuntimeError(f"kind {self._config.kind} gave a channel '{reading.channel[:40]}'")
            with self._lock:
                shaped = channel.take(reading, now)
            self._out.shaped(self.name, shaped.seen, shaped.published)

    def _becomes(self, state: str, error: str, *, fault: bool = False) -> None:
        with self._lock:
            turned = self._turn(state, error, fault=fault)
        if turned:
            self._out.changed(self.status)

    def _turn(self, state: str, error: str, *, fault: bool) -> bool:
        """Set the state; return whether it changed. The lock is held."""
        self._faults += fault
        if (self._state, self._error) == (state, error):
            return False
        self._state, self._error = state, error
        return True

    def _defect(self, error: Exception) -> None:
        """Report a defect of a driver, with its traceback the first time."""
        if not self._logged_defect:
            log.error("sensor %s failed", self.name, exc_info=error)
            self._logged_defect = True
        self._becomes("waiting", f"{type(error).__name__}: {error}"[:200], fault=True)
