"""All accelerators: which may be used now, and who finds out when one works again."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from edged.supervisor.accelerator_choice import Choice
from edged.supervisor.accelerator_presence import Presence
from edged.supervisor.accelerator_probe import Probe
from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edged.config.root import Accelerator
    from edged.ipc.heartbeat import Stage
    from edged.ipc.worker_order import Order
    from edged.supervisor.forkserver_client import ForkServer

log = logging.getLogger(__name__)

PRESENCE_S = 1.0  # between two looks at the bus


def key_of(accelerator: Accelerator) -> str:
    """Return what the pipelines of one accelerator have in common; no pipeline has such a name."""
    return f"edgetpu {accelerator.library} {accelerator.device}"


class Accelerators:
    """Decides for each accelerator whether its pipelines with policy ``prefer`` run on it.

    Args:
        forkserver: forks probes.
        order: the order and deadlines of a probe; None where nobody wants that accelerator on the CPU's
            account, or where pipelines that require it try it anyway.
        changed: called when an accelerator can be used again.
        appeared: called when one was plugged in.
        root: of the file system; another one for tests.
    """

    def __init__(
        self,
        forkserver: ForkServer,
        order: Callable[[str], tuple[Order, Mapping[Stage, float]] | None],
        changed: Callable[[], object],
        appeared: Callable[[], object],
        root: Path,
    ) -> None:
        self._forkserver = forkserver
        self._order = order
        self._changed = changed
        self._appeared = appeared
        self._root = root
        self._presence: Presence | None = None
        self._looked_at = 0.0
        self._choices: dict[str, Choice] = {}
        self._probes: dict[str, Probe] = {}

    def usable(self, key: str) -> bool:
        """Whether to use it; asking makes it known, and its bus is watched from now on."""
        if self._presence is None:
            self._presence = Presence(self._root)
        return self._choices.setdefault(key, Choice()).usable

    def failed(self, key: str, why: str) -> None:
        """It failed, while in use or in a probe."""
        pause_s = self._choices.setdefault(key, Choice()).failed(clock.monotonic())
        log.warning("%s: %s; trying it again in %.0f min", key, why, pause_s / 60)

    def works(self, key: str) -> None:
        """Pipelines that require it run on it."""
        choice = self._choices.get(key)
        if choice is not None and not choice.usable:
            choice.proved(clock.monotonic())
            log.info("%s: works again", key)
            self._changed()

    def look(self, now: float) -> None:
        """Start and watch probes; cheap, and called often."""
        if self._presence is not None and now - self._looked_at >= PRESENCE_S:
            self._looked_at = now
            if self._presence.appeared():
                log.info("an Edge TPU was plugged in")
                for choice in self._choices.values():
                    choice.appeared(now)
                self._appeared()
        for key, choice in list(self._choices.items()):
            if key in self._probes:
                self._probes[key].look(now)
            elif choice.due(now) and (found := self._order(key)) is not None:
                self._begin(key, *found)

    def forgive(self, now: float) -> None:
        """This process was away itself."""
        for probe in self._probes.values():
            probe.forgive(now)

    def _begin(self, key: str, order: Order, deadlines: Mapping[Stage, float]) -> None:
        log.info("%s: trying it again", key)
        self._probes[key] = Probe(order, deadlines, self._forkserver, lambda why: self._probed(key, why))

    def _probed(self, key: str, why: str) -> None:
        del self._probes[key]
        if why:
            self.failed(key, why)
        else:
            self.works(key)

    async def stop(self) -> None:
        """End the probes."""
        probes, self._probes = list(self._probes.values()), {}
        await asyncio.gather(*(probe.stop() for probe in probes))
