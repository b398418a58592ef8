"""Puts the daemon together: the only module that knows every part.

```
 Config ─▶ Spool ─▶ sink (MQTT or JSON lines) ◀─ Home Assistant's announcer
               ▲      ▲
 Supervisor ─▶ EventPublisher ─▶ events, topics      every half second: health ─▶ topic, file, systemd
 SensorWorker ─▶ SensorPublisher ─▶ topics
```

It reads in the order in which things happen: build, start, ready, run, reload, stop. Nothing waits for the
broker: events wait in the spool, and retained values are sent once it is connected.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from typing import TYPE_CHECKING

from edged.config import loader
from edged.daemon import commands, health, outputs, prometheus
from edged.daemon.decision_log import DecisionLog
from edged.daemon.lessons import Lessons
from edged.daemon.publisher import EventMaker, EventPublisher
from edged.daemon.sensor_publisher import SensorPublisher
from edged.daemon.status_file import HealthSchedule
from edged.daemon.switch_log import SwitchLog
from edged.errors import ConfigError, Problem, Reason, Unavailable
from edged.spool import open_spool
from edged.supervisor import SensorWorker
from edged.system import clock, mounts, process_memory
from edged.system.child import ChildFailed, answers
from edged.system.lockfile import LockFile
from edged.system.needs import EVERY_FILE
from edged.system.patience import within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edged.config.root import Config
    from edged.config.secrets import Secret
    from edged.daemon.outputs import Outputs
    from edged.supervisor import Listener, Supervisor
    from edged.system.signals import Signals
    from edged.system.systemd import Notifier

    Supervise = Callable[[Listener], Supervisor]

log = logging.getLogger(__name__)

TICK_S = 0.5  # between two looks at what changed
CHECK_S = 60.0  # for the check of a changed configuration, which reads every model
SETTLE_S = 20.0  # the longest wait for pipelines before READY
WORKERS_STOP_S, SENSORS_STOP_S, SINK_STOP_S = 2.3, 0.4, 1.2  # of the 5 s that stopping may take
LOG_STOP_S = 0.2  # each for room in the queue and for the thread


class Daemon:
    """One configuration, running. Everything happens on the event loop's thread.

    Args:
        path: the configuration file, which is read again at a reload.
        supervise: returns a supervisor without pipelines, for its listener.
        signals: the signals, already installed.
        notifier: notifies systemd.

    Raises:
        ConfigError: the configuration is wrong, or a file that it names for the broker.
        Unavailable: another daemon uses this run directory.
    """

    def __init__(self, path: Path, supervise: Supervise, signals: Signals, notifier: Notifier) -> None:
        self._path = path
        self._signals = signals
        self._notifier = notifier
        self._started_at = clock.monotonic()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._complaints: list[str] = []
        self._losses = health.Losses()
        self._config = config = loader.load(path)
        self._lock = _lock(config.run_dir)
        _warn_of_memory(config.state_dir)
        self._spool = open_spool(
            config.spool,
            node=config.node,
            state_dir=config.state_dir,
            call_soon=asyncio.get_running_loop().call_soon_threadsafe,
            on_committed=self._committed,
        )
        self._event_maker = EventMaker(config.node)
        self._decision_log = DecisionLog(config.state_dir, config.log.max_mb)
        self._publisher = EventPublisher(
            self._event_maker,
            self._spool,
            _numbered(config),
            at_once=False,
            keep=self._decision_log.add,
            publishes_results=lambda name: self._config.pipelines[name].publish.result,
        )
        self._secret = outputs.secret(config)
        self._switch_log = SwitchLog()
        self._outputs = self._wire(config)
        self._health = HealthSchedule(config.run_dir)
        self._prometheus = prometheus.PrometheusFile(prometheus.path_of(config))
        self._supervisor = supervise(self._publisher)
        self._supervisor.places.keep_in(config.state_dir / "places")
        self._supervisor.switches.keep_in(config.state_dir)
        self._sensor_publisher = SensorPublisher(self._publisher, config.node)
        self._sensors = SensorWorker(
            self._sensor_publisher, self._supervisor.readings_page, self._supervisor.forkserver
        )
        self._supervisor.sensors_wait = self._sensors.waits
        self._lessons = Lessons(config.node, lambda name: self._supervisor.command(name, "features"))
        self._lessons.configure(config)
        self._supervisor.features = self._lessons.features

    async def run(self) -> None:
        """Work until a signal asks to stop; stop in order also after a defect."""
        self._signals.attach(asyncio.get_running_loop(), self._stop.set, self._reload.set)
        work = asyncio.create_task(self._work())
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                work.result()
        finally:
            self._notifier.stopping()
            for task in (work, stop):
                task.cancel()
            await asyncio.wait({work, stop}, timeout=0.5)
            await self._close()

    async def _work(self) -> None:
        if self._stop.is_set():
            return  # requested while all this was built
        self._decision_log.note("started")
        self._outputs.sink.open()
        self._publisher.attach(self._outputs.sink, self._outputs.copies)
        await self._supervisor.start()
        await self._supervisor.apply(self._config.pipelines, self._config.isolation, self._config.sensors)
        self._read_sensors(self._config)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look())
            tasks.create_task(self._feed_watchdog())
            await self._supervisor.settle(SETTLE_S)
            self._tick()
            self._notifier.ready()
            log.info("started: %s", health.started(health.message(self._snapshot())))
            while True:
                await self._reload.wait()
                self._reload.clear()
                await self._read_again()

    def _read_sensors(self, config: Config) -> None:
        if self._sensors.apply(config.sensors, config.isolation, config.looked_at, config.followed):
            self._sensor_publisher.sensors(config.sensors)

    async def _close(self) -> None:
        """Stop the workers, then publish what still can be, in less than the 5 s allowed."""
        log.info("stopping")
        await self._sensors.stop(SENSORS_STOP_S)
        self._sensor_publisher.offline()
        try:
            await asyncio.wait_for(self._supervisor.stop(WORKERS_STOP_S), WORKERS_STOP_S + 0.3)
        except TimeoutError:
            log.error("workers did not stop in time")  # noqa: TRY400 - the place where it waited tells nothing
        self._publisher.offline()
        self._outputs.close(SINK_STOP_S)
        self._switch_log.write()
        self._decision_log.note("stopped")
        self._decision_log.close(LOG_STOP_S)
        queued = self._spool.counts().queued
        if queued:
            log.warning("not delivered yet: %d", queued)
        self._spool.close()
        self._health.close()
        self._prometheus.close()
        self._lock.free()
        log.info("stopped")

    # Output.

    def _committed(self, payloads: Sequence[bytes]) -> None:
        """Publish what the spool has safely on disk."""
        self._publisher.committed(payloads)

    def _wire(self, config: Config) -> Outputs:
        """Build the outputs; nothing is opened yet. Raises ``ConfigError``."""
        loop = asyncio.get_running_loop()
        return outputs.wire(
            config,
            spool=self._spool,
            loop=loop,
            on_switch=self._switch,
            on_command=self._command,
            watched=sys.stdout is not None and sys.stdout.isatty(),
        )

    def _command(self, verb: str, payload: bytes) -> bytes:
        """Carry out a command that arrived on ``cmd/<verb>``; return the result."""
        if verb == commands.TEACH:
            return self._lessons.answer(payload)
        return commands.answer(verb, payload, self._config.pipelines, self._supervisor.command)

    def _switch(self, name: str, on: bool) -> None:
        """Switch a pipeline: a message arrived on ``enabled/set``."""
        try:
            changed = self._supervisor.enable(name, on)
        except KeyError:
            self._switch_log.unknown(name)
        else:
            if changed:
                self._decision_log.note("on" if on else "off", name)
            self._switch_log.switched(name, on, lasts=self._config.pipelines[name].enabled == "last")

    # Reload.

    async def _read_again(self) -> None:
        """Apply the changed configuration, or report why not and keep the old one."""
        self._notifier.reloading()
        try:
            config = loader.load(self._path)
            _refuse_restart_keys(self._path, self._config, config)
            secret = outputs.secret(config)
            await self._check()
            wired = self._wire(config) if self._changes_outputs(config, secret) else None
        except ConfigError as error:
            self._refuse(error.problems)
        else:
            await self._adopt(config, secret, wired)
        self._tick()
        self._notifier.ready()

    async def _check(self) -> None:
        """Check the file as ``edged check`` does, in a process of its own: a model needs its memory.

        Raises:
            ConfigError: with the problems found. Where the process fails, what was read so far has to do.
        """
        path = os.fsencode(self._path)
        try:
            found = await within(
                CHECK_S + 5, lambda: list(answers("edged.tools.check", path, CHECK_S, EVERY_FILE))
            )
        except (ChildFailed, TimeoutError) as error:
            log.warning("the changed configuration was not checked: %s", str(error) or "no answer in time")
            return
        if found:
            raise ConfigError([Problem.from_data(data) for data in found])

    def _changes_outputs(self, config: Config, secret: Secret | None) -> bool:
        """Return whether the outputs have to be rebuilt."""
        return outputs.needs(config, secret) != outputs.needs(self._config, self._secret)

    def _refuse(self, problems: list[Problem]) -> None:
        for problem in problems:
            log.error("configuration refused: %s", problem)
        more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
        self._complaints = [f"the changed configuration was refused, the old one runs: {problems[0]}{more}"]

    async def _adopt(self, config: Config, secret: Secret | None, wired: Outputs | None) -> None:
        old, self._config, self._secret = self._config, config, secret
        self._decision_log.resize(config.log.max_mb)
        if self._prometheus.path != prometheus.path_of(config):
            self._prometheus.close()
            self._prometheus = prometheus.PrometheusFile(prometheus.path_of(config))
        self._complaints = []
        # Both at first: the last reports of pipelines that go and the first of those that come must pass.
        self._publisher.pipelines({**_numbered(old), **_numbered(config)})
        ran = self._switched_on()
        moved = await self._supervisor.apply(config.pipelines, config.isolation, config.sensors)
        for name in sorted(ran ^ (self._switched_on() & old.pipelines.keys())):
            self._decision_log.note("off" if name in ran else "on", name)
        self._publisher.pipelines(_numbered(config))
        self._lessons.configure(config)
        self._read_sensors(config)
        if wired is not None:
            if old.mqtt is not None and config.mqtt is not None and old.mqtt.prefix != config.mqtt.prefix:
                self._publisher.withdraw()
            self._outputs.close(SINK_STOP_S)
            self._outputs = wired
            wired.sink.open()
            self._publisher.attach(wired.sink, wired.copies)
        elif self._outputs.announcer is not None:
            self._outputs.announcer.update(
                list(config.pipelines), clock.monotonic(), config.sensors, outputs.watched(config)
            )
            self._outputs.sink.drain()
        what = ", ".join(sorted(moved)) or "none"
        log.info("configuration reloaded; pipelines concerned: %s", what)

    def _switched_on(self) -> set[str]:
        return {name for name, status in self._supervisor.status().items() if status.enabled}

    # Health.

    async def _look(self) -> None:
        while True:
            self._tick()
            await asyncio.sleep(TICK_S)

    def _tick(self) -> None:
        try:
            self._outputs.sink.check()
            self._publisher.tick()
            self._supervisor.switches.flush()
            snapshot = self._snapshot()
            message = health.message(snapshot)
            self._notifier.status(health.headline(message))
            if self._health.is_due(message, self._config.health.interval_s):
                self._prometheus.write(message)
                public = health.message(snapshot, public=True)
                self._publisher.retain(
                    "health", json.dumps(public, ensure_ascii=False, separators=(",", ":"))
                )
        except Exception:
            log.exception("a defect in the health report")  # which must not end what it reports on

    def _snapshot(self) -> health.Snapshot:
        pids = {"main": os.getpid(), **self._supervisor.processes()}
        if self._sensors.pid is not None:
            pids["sensors"] = self._sensors.pid
        sink, counts = self._outputs.sink, self._spool.counts()
        switches = self._supervisor.switches
        return health.Snapshot(
            node=self._config.node,
            uptime_s=clock.monotonic() - self._started_at,
            at=clock.wall(),
            synced=self._event_maker.synced,
            pipelines=self._supervisor.status(),
            sensors=self._sensors.status(),
            decided=self._publisher.decided(),
            readings=self._sensor_publisher.newest(),
            counts=counts,
            spool=self._spool.state,
            broker=health.Broker(str(sink.state), sink.detail, sink.degraded, sink.problems),
            processes=health.measure(pids),
            isolation=self._config.isolation,
            complaints=[
                *self._complaints,
                *self._losses.sentences(counts.dropped),
                *filter(None, [switches.trouble]),
            ],
            switches=switches.all(),
            lessons=self._lessons.all(),
            cameras={
                name: one.camera for name, one in self._config.pipelines.items() if one.camera is not None
            },
        )

    async def _feed_watchdog(self) -> None:
        """Feed systemd's watchdog while every enabled pipeline makes progress."""
        every_s = self._notifier.watchdog_s
        while every_s is not None:
            stalled = self._supervisor.stalled()
            if stalled:
                log.error("the watchdog is not fed: no progress in %s", ", ".join(stalled))
            else:
                self._notifier.watchdog()
            await asyncio.sleep(every_s / 3)


def run(path: Path, supervise: Supervise, signals: Signals, notifier: Notifier) -> None:
    """Run the daemon until a signal asks it to stop; see :class:`Daemon`."""

    async def life() -> None:
        await Daemon(path, supervise, signals, notifier).run()

    process_memory.use_one_heap()
    asyncio.run(life())


def _lock(run_dir: Path) -> LockFile:
    """Lock the run directory: two daemons would disconnect each other and share one status file.

    A directory that cannot be written locks nobody out; writing the status file reports it.

    Raises:
        Unavailable: another daemon uses it.
    """

    def busy(pid: int | None) -> Unavailable:
        who = f"process {pid or 'unknown'}, run_dir {run_dir}"
        return Unavailable(Reason.BUSY, f"another edged is already running ({who})")

    lock = LockFile(run_dir / "lock", busy=busy, mode=0o644)
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
        lock.take()
    except Unavailable:
        raise
    except OSError as error:
        log.debug("%s cannot be locked: %s", run_dir, error)
    return lock


def _warn_of_memory(state_dir: Path) -> None:
    if kind := mounts.in_memory(state_dir):
        log.warning("%s is in memory (%s): a reboot or a power cut loses queued events", state_dir, kind)


def _numbered(config: Config) -> dict[str, bool]:
    return {name: pipeline.source.numbered for name, pipeline in config.pipelines.items()}


def _refuse_restart_keys(path: Path, old: Config, new: Config) -> None:
    changed = [
        key for key in ("node", "state_dir", "run_dir", "spool") if getattr(old, key) != getattr(new, key)
    ]
    if changed:
        hint = "write the old value again, or run: systemctl restart edged"
        raise ConfigError([Problem(str(path), f"{key} changes only with a restart", hint) for key in changed])
