"""All workers together: which ones run, which pipelines are switched on, and what a reload changes."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edged.config import needs
from edged.ipc.heartbeat import MAX_PIPELINES
from edged.ipc.readings_page import for_reader
from edged.models.runtimes import default_threads
from edged.supervisor import order_builder
from edged.supervisor.accelerators import Accelerators, Loss, key_of
from edged.supervisor.fatal_samples import FatalSamples
from edged.supervisor.forkserver_client import ForkServer
from edged.supervisor.model_cache import ModelCache
from edged.supervisor.pipeline_status import PipelineStatus, StatusBoard, still_present
from edged.supervisor.places import Places
from edged.supervisor.report_screen import ReportScreen, ReportScreens, known_of
from edged.supervisor.switches import Switches
from edged.supervisor.worker_group import WorkerGroup, groups
from edged.supervisor.worker_lifecycle import AWAY_S, WorkerLifecycle
from edged.system import clock, process_memory
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from edged.config.root import PipelineSection
    from edged.ipc.heartbeat import Stage
    from edged.ipc.worker_messages import Features
    from edged.ipc.worker_order import Order
    from edged.sensors import SensorConfig
    from edged.supervisor.accelerator_probe import OrderMaker
    from edged.supervisor.pipeline_status import Listener

log = logging.getLogger(__name__)

LOOK_S = 0.2  # between two looks at the heartbeats
WEIGH_S = 1.0  # between two looks at memory, descriptors and model files
CHECK_S = 2.0  # between two pings of the fork server
RENEW_S = 5.0  # between two fork servers that see more than the one before
_DEFECT_S = 5.0  # before the next look after one that failed


class Supervisor:
    """Runs every enabled pipeline in a worker and restarts the workers that end.

    Args:
        pipelines: the pipelines' part of the configuration, by name.
        isolation: required | optional.
        listener: receives what happens to the pipelines.
        forkserver: forks the workers; it may be started already. None: one of its own.
        results: whether to report every inference of every pipeline, also where its configuration does not
            ask for it.
        root: the folder that holds ``sys`` and ``dev``, where accelerators are looked for.
        pictures: a descriptor at which workers get connections that they write their pictures to; None: they
            show nobody any.

    Attributes:
        readings_page: a descriptor of the page on which sensors write what pipelines need.
        forkserver: starts the workers without a network, the sensor worker among them.
        sensors_wait: returns whether a sensor waits for its device; set by whoever reads the sensors.
        features: takes what a taught model sees in the last picture, after the command ``features``; set by
            whoever gives that.
    """

    def __init__(
        self,
        pipelines: Mapping[str, PipelineSection],
        *,
        isolation: str = "required",
        listener: Listener,
        forkserver: ForkServer | None = None,
        results: bool = False,
        root: Path = Path("/"),
        pictures: int | None = None,
    ) -> None:
        self._pictures = pictures
        self._pipelines = dict(pipelines)
        self._isolation = isolation
        self._listener = listener
        self._results = results
        self.switches = Switches()  # how pipelines were switched over MQTT
        self._enabled = {name: bool(section.enabled) for name, section in pipelines.items()}
        self._sensors: Mapping[str, SensorConfig] = {}
        self.forkserver = forkserver or ForkServer()  # of the workers without a network, and of the sensors
        self._networked = ForkServer(network=True)  # started when a pipeline needs it
        self._renewed_at = 0.0
        self._model_cache = ModelCache()
        self.readings_page = self._model_cache.readings_page  # shows workers what sensors read
        self._groups: dict[str, WorkerGroup] = {}
        self._fatal = FatalSamples()
        self.places = Places()  # how far the sources have come
        self._screens: dict[str, tuple[PipelineSection, ReportScreen]] = {}
        self._accelerators = Accelerators(
            self.forkserver, self._probe_order, self._arrange, self._plugged_in, root
        )
        self.sensors_wait: Callable[[], bool] = lambda: False
        self.features: Callable[[Features], object] = lambda _report: None
        self._off: set[str] = set()
        self._armed: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._checks: set[asyncio.Task[None]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._looked_at = self._weighed_at = self._checked_at = 0.0

    def prepare(self) -> None:
        """Start the fork server early, where that is possible; it imports while main goes on."""
        self.forkserver.start_early()

    async def start(self) -> None:
        """Start every enabled pipeline."""
        if self._pipelines:
            self._show(self._pipelines, self._sensors)
        self._looked_at = self._weighed_at = self._checked_at = clock.monotonic()
        self._watching = asyncio.get_running_loop().create_task(self._watch())
        self._arrange()

    async def settle(self, timeout_s: float) -> None:
        """Wait until every enabled pipeline runs, has ended, or has a fault."""
        deadline = clock.monotonic() + timeout_s
        while clock.monotonic() < deadline:
            if all(group.lifecycle.settled for group in self._groups.values()):
                return
            await asyncio.sleep(0.01)

    def enable(self, pipeline: str, on: bool) -> bool:
        """Switch a pipeline on or off, and remember it; return whether it was the other way before.

        Raises ``KeyError`` for one that does not exist.
        """
        changes = self._enabled[pipeline] != on
        if changes:
            self.switches.switched(pipeline, on)
            self._enabled[pipeline] = on
            self._arrange()
        return changes

    def command(self, pipeline: str, verb: str) -> bool:
        """Carry out ``infer`` (trigger), ``arm`` or ``disarm`` (gate), ``features`` (taught model).

        Returns False where there is none.

        Raises ``KeyError`` for a pipeline that does not exist.
        """
        if not order_builder.may(self._pipelines[pipeline], verb):
            return False
        if verb not in {"infer", "features"}:
            (self._armed.add if verb == "arm" else self._armed.discard)(pipeline)
        if verb == "infer" and not self._enabled[pipeline]:
            return False
        sent = [g.lifecycle.command(pipeline, verb) for g in self._groups.values() if pipeline in g.sections]
        return any(sent) or verb not in {"infer", "features"}

    async def apply(
        self,
        pipelines: Mapping[str, PipelineSection],
        isolation: str,
        sensors: Mapping[str, SensorConfig] | None = None,
    ) -> frozenset[str]:
        """Apply another configuration; return the pipelines that it changed.

        What was switched stays switched, unless ``enabled`` of that pipeline became true or false.

        Args:
            pipelines: their part of the configuration, by name.
            isolation: required | optional.
            sensors: the sensors, whose worker sees the same files and devices.
        """
        self._sensors = sensors or {}
        if pipelines or self._sensors:
            self._show(pipelines, self._sensors)
        old = self._pipelines
        changed = {name for name in old.keys() | pipelines.keys() if old.get(name) != pipelines.get(name)}
        if isolation != self._isolation:
            changed |= pipelines.keys()
        self._enabled = {name: self._is_on(name, section) for name, section in pipelines.items()}
        self._pipelines, self._isolation = dict(pipelines), isolation
        self._screens = {name: screen for name, screen in self._screens.items() if name in pipelines}
        self._fatal.forget(changed)
        self._arrange(frozenset(changed))
        for group in self._groups.values():
            if changed.isdisjoint(group.sections) and group.renew():
                changed |= group.sections.keys()
        return frozenset(changed)

    def _is_on(self, name: str, section: PipelineSection) -> bool:
        """Return whether a pipeline is to run, with the configuration that is to be applied."""
        old = self._pipelines.get(name)
        if old is not None and old.enabled == section.enabled:
            return self._enabled[name]
        return self.switches.at_start(name, section.enabled)

    def status(self) -> Mapping[str, PipelineStatus]:
        """Return the status of every pipeline, in the order of the configuration."""
        running = {s.name: s for group in self._groups.values() for s in group.status_board.all()}
        return {name: running.get(name, PipelineStatus(name)) for name in self._pipelines}

    def processes(self) -> Mapping[str, int]:
        """Return the process ids of the fork server and of each pipeline's worker, by name."""
        servers = {"forkserver": self.forkserver.pid, "forkserver-network": self._networked.pid}
        found = {name: pid for name, pid in servers.items() if pid is not None}
        for group in self._groups.values():
            if group.lifecycle.pid is not None:
                found |= dict.fromkeys(group.running, group.lifecycle.pid)
        return found

    def stalled(self) -> Sequence[str]:
        """Return the enabled pipelines that make no progress although everything was tried."""
        now = clock.monotonic()
        if now - self._looked_at > 5 * AWAY_S:
            return [name for name, on in self._enabled.items() if on]
        stuck = [group for group in self._groups.values() if group.lifecycle.stuck(now)]
        return [name for group in stuck for name in group.running]

    async def stop(self, timeout_s: float) -> None:
        """End all workers and the fork server."""
        if self._watching is not None:
            self._watching.cancel()
        for key in list(self._groups):
            self._close(key)
        self._spawn(self._closing, self._accelerators.stop())
        await asyncio.wait(self._closing, timeout=timeout_s)
        for server in (self.forkserver, self._networked):
            server.stop()
        self._model_cache.close()
        self.places.save()

    # Inside.

    def _arrange(self, changed: frozenset[str] = frozenset()) -> None:
        """Start and stop workers until they match the configuration and the switches.

        Args:
            changed: the pipelines whose faults are forgotten.
        """
        on = {name: section for name, section in self._pipelines.items() if self._enabled[name]}
        off = {name: section for name, section in self._pipelines.items() if not self._enabled[name]}
        wanted = groups(on, self._accelerators.usable)
        known = {s.name: s for group in self._groups.values() for s in group.status_board.all()}
        labels = {name: g.status_board.label(name) for g in self._groups.values() for name in g.sections}
        for key in list(self._groups):
            group = self._groups[key]
            if key not in wanted or not group.can_run(wanted[key], self._isolation, off):
                self._close(key)
            else:
                group.switch(wanted[key])
        for name in sorted(off.keys() - self._off):
            self._listener.changed(PipelineStatus(name))
        self._off = set(off)
        for name in changed & known.keys():
            known[name] = replace(known[name], state="starting", fault="", reason="", last_error="")
            if name in self._pipelines:
                there = still_present(known[name].present, self._pipelines[name].task)
                known[name] = replace(known[name], present=there)
        for key, sections in wanted.items():
            if key not in self._groups:
                self._groups[key] = self._open(key, sections, labels, known)
        sections_now = [section for group in self._groups.values() for section in group.sections.values()]
        self._model_cache.keep(set().union(*map(order_builder.all_files_of, sections_now)))

    def _open(
        self,
        key: str,
        sections: Mapping[str, PipelineSection],
        labels: Mapping[str, str],
        known: Mapping[str, PipelineStatus],
    ) -> WorkerGroup:
        assert len(sections) <= MAX_PIPELINES  # noqa: S101 - the configuration allows no more
        accelerated = any(key_of(section.accelerator) == key for section in sections.values())
        status_board = StatusBoard(sections, self._listener, known)
        status_board.labels |= {name: labels[name] for name in sections if name in labels}
        lifecycle = WorkerLifecycle(
            lambda: self._order(key),
            deadlines=order_builder.deadlines(
                sections, accelerated=accelerated, patient=self._accelerators.slow(key)
            ),
            memory_mb=max(section.memory_mb for section in sections.values()),
            forkserver=self._server_of(sections),
            status_board=status_board,
            screens=ReportScreens({name: self._screen(name, section) for name, section in sections.items()}),
            lost=functools.partial(self._lost, key),
            fatal=self._fatal,
            places=self.places,
            features=self._featured,
            after=list(self._closing),
        )
        for status in status_board.all():
            self._listener.changed(status)
        if not status_board.ended():
            lifecycle.start()
        return WorkerGroup(sections, self._isolation, accelerated, status_board, lifecycle)

    def _featured(self, report: Features) -> None:
        self.features(report)

    def _screen(self, name: str, section: PipelineSection) -> ReportScreen:
        """Return the screen of a pipeline: the same one as long as it is configured as it is."""
        before = self._screens.get(name)
        if before is None or before[0] != section:
            screen = ReportScreen(section, all_results=self._results)
            self._screens[name] = before = (section, screen)
        return before[1]

    def _server_of(self, sections: Mapping[str, PipelineSection]) -> ForkServer:
        """Return the fork server of a worker; the one that keeps the network is started when it is needed."""
        if not needs.of_pipelines(sections.values()).network:
            return self.forkserver
        if not self._networked.is_started:
            self._networked.start()
        return self._networked

    def _show(self, pipelines: Mapping[str, PipelineSection], readers: Mapping[str, SensorConfig]) -> None:
        """Let the workers see what these pipelines and sensors name, with new fork servers where need be."""
        networked, local = Needs(network=True), needs.of_sensors(readers.values())
        for sections in groups(pipelines, lambda _key: True).values():
            wanted = needs.of_pipelines(sections.values())
            if wanted.network:
                networked |= wanted
            for section in sections.values():
                alone = needs.of_pipelines([section])  # as soon as their accelerator is lost
                local |= Needs() if alone.network else alone
        if self.forkserver.show(local):
            self.forkserver.replace("other files or devices are configured")
        elif not self.forkserver.is_started:
            self.forkserver.start()
        if self._networked.show(networked):
            self._networked.replace("other files or devices are configured")

    def _close(self, key: str) -> None:
        group = self._groups.pop(key)
        group.lifecycle.retire()
        self._spawn(self._closing, group.lifecycle.stop())

    def _spawn(self, tasks: set[asyncio.Task[None]], work: Coroutine[object, object, None]) -> None:
        """Run something as a task, and keep a reference to it."""
        task = asyncio.get_running_loop().create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def _order(self, key: str) -> tuple[Order, list[int]]:
        """Return the order for the next worker of a group, with the descriptors of its models."""
        group = self._groups[key]
        group.files = order_builder.signature(group.sections)
        board = group.status_board.all()
        sections = {status.name: group.sections[status.name] for status in board if status.state != "ended"}
        models = await self._files(sections, accelerated=group.accelerated)
        order = order_builder.order(
            sections,
            group.status_board.labels,
            list(models),
            accelerated=group.accelerated,
            isolation=group.isolation,
            threads=self._threads(),
            results=self._results,
            armed=self._armed,
            known=self._known(sections, models, accelerated=group.accelerated),
            reset=self._accelerators.hung(key),
            present={status.name: status.present or () for status in group.status_board.all()},
            fatal={name: self._fatal.of(name) for name in sections},
            places={name: self.places.of(name, section) for name, section in sections.items()},
            pictures=self._pictures is not None,
        )
        readings_page = [for_reader(self.readings_page)] if order.readings_page >= 0 else []
        pictures = [os.dup(self._pictures)] if self._pictures is not None else []
        return order, [*models.values(), *readings_page, *pictures]

    async def _files(self, sections: Mapping[str, PipelineSection], *, accelerated: bool) -> dict[Path, int]:
        """Return descriptors of the models and labels that these pipelines may run."""
        return await self._model_cache.fetch_all(
            {
                file
                for section in sections.values()
                for file in order_builder.files_of(section, accelerated=accelerated)
            }
        )

    def _known(
        self, sections: Mapping[str, PipelineSection], files: Mapping[Path, int], *, accelerated: bool
    ) -> set[str]:
        """Tell the screens of a worker's pipelines what it will run; return those whose labels are known."""
        read = {file: (descriptor, self._model_cache.sha256(file)) for file, descriptor in files.items()}
        network = needs.of_pipelines(sections.values()).network
        found = set()
        for name, section in sections.items():
            known = known_of(section, read, accelerated=accelerated)
            self._screens[name][1].begin(known, network=network)
            if all(one.labels is not None for one in known.values()):
                found.add(name)
        return found

    def _waits(self) -> bool:
        """Return whether a pipeline or a sensor waits for something that may be there by now."""
        pipelines = any(s.state == "waiting" for g in self._groups.values() for s in g.status_board.all())
        return pipelines or self.sensors_wait()

    def _threads(self) -> int:
        return default_threads(len(self._groups))

    # Accelerators.

    def _lost(self, key: str, why: str, loss: Loss) -> None:
        """Move the pipelines of an accelerator that failed to the CPU at once, where policy allows it."""
        self._accelerators.failed(key, why, loss)
        self._arrange()

    def _probe_order(self, key: str) -> tuple[OrderMaker, Mapping[Stage, float]] | None:
        """Return the order of a probe; None where pipelines that require the accelerator try it anyway."""
        if key in self._groups:
            return None
        sections = {
            name: section
            for name, section in self._pipelines.items()
            if self._enabled[name] and section.accelerator.policy == "prefer"
            if key_of(section.accelerator) == key
        }
        if not sections:
            return None

        async def order() -> tuple[Order, list[int]]:
            files = await self._files(sections, accelerated=True)
            return order_builder.order(
                sections,
                {},
                list(files),
                accelerated=True,
                isolation=self._isolation,
                threads=self._threads(),
                probe=True,
                reset=self._accelerators.hung(key),
            ), list(files.values())

        return order, order_builder.deadlines(sections, accelerated=True, patient=True)

    def _plugged_in(self) -> None:
        for group in self._groups.values():
            if group.accelerated:
                group.lifecycle.hurry()

    # Watching.

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self._pass(clock.monotonic())
            except Exception:
                log.exception("a defect in watching the workers")
                await asyncio.sleep(_DEFECT_S)

    def _pass(self, now: float) -> None:
        """Check everything once."""
        groups = list(self._groups.values())
        if now - self._looked_at > AWAY_S:
            self._accelerators.forgive(now)
            for group in groups:
                group.lifecycle.forgive(now)
        self._looked_at = now
        for group in groups:
            group.lifecycle.look(now)
        self._accelerators.look(now)
        if now - self._weighed_at >= WEIGH_S:
            self._weighed_at = now
            self._weigh()
        if now - self._checked_at >= CHECK_S:
            self._checked_at = now
            for server in (self.forkserver, self._networked):
                if server.is_started:
                    self._spawn(self._checks, server.check())

    def _weigh(self) -> None:
        """Check what changes slowly."""
        for server in (self.forkserver, self._networked):
            if clock.monotonic() - self._renewed_at > RENEW_S and server.is_outdated(waiting=self._waits()):
                self._renewed_at = clock.monotonic()
                server.replace("a device or a file has come or changed")
        for key, group in list(self._groups.items()):
            if group.lifecycle.pid is not None:
                group.lifecycle.weigh(process_memory.megabytes(group.lifecycle.pid) or 0.0)
            if group.waits_for_files():
                group.renew()
            elif group.is_taught:
                self._spawn(self._checks, group.renew_when_taught())
            if group.accelerated and any(
                s.state == "running" and s.accelerator != "cpu" for s in group.status_board.all()
            ):
                self._accelerators.works(key)
