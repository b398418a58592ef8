"""Accelerators: which of them may be used now, and when a failed one is tried again.

::

    usable ── failure ──▶ CPU for 5 minutes, doubled up to 1 hour ── a probe works ──▶ usable
                           ├─ it opens slowly, and did not before: probe at once, with more time
                           ├─ it has no firmware when edged starts: the same, and the CPU serves at once
                           ├─ no such device: the same pauses, and never the hour at once
                           ├─ the device is plugged in: probe at once
                           └─ 3 failures in 10 minutes: 1 hour, even if the device is plugged in again
"""

from __future__ import annotations

import asyncio
import enum
import functools
import logging
import math
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from edged.supervisor.accelerator_probe import AcceleratorProbe, OrderMaker
from edged.system import board, clock
from edged.system.board import CORAL_USB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.config.root import Accelerator
    from edged.ipc.heartbeat import Stage
    from edged.supervisor.forkserver_client import ForkServer

log = logging.getLogger(__name__)

EDGETPU = "edgetpu"
FIRST_PAUSE_S, LONGEST_PAUSE_S = 300.0, 3600.0
BREAKER_COUNT, BREAKER_S = 3, 600.0  # failures in this time open the breaker
STABLE_S = 600.0  # of use, after which the pauses start anew
SETTLE_S = 1.0  # until the permissions of a device that was plugged in are set
PRESENCE_S = 1.0  # between two looks at the bus


def key_of(accelerator: Accelerator) -> str:
    """Return what the pipelines of one accelerator have in common; no pipeline has such a name."""
    where = accelerator.port if accelerator.kind == EDGETPU else ""
    options = (f"{name}={value}" for name, value in sorted(accelerator.options.items()))
    return " ".join(filter(None, (accelerator.kind, accelerator.library, where, *options)))


class Loss(enum.Enum):
    """The way in which an accelerator was lost."""

    FAILED = enum.auto()  # it crashed, hung, or refused a model
    ABSENT = enum.auto()  # there is no such device, or no library
    SLOW = enum.auto()  # it took longer to open than pipelines can wait that may run on the CPU


class CircuitBreaker:
    """Decides whether one accelerator may be used; pure. Times are monotonic, in s."""

    def __init__(self) -> None:
        self._failures: deque[float] = deque(maxlen=BREAKER_COUNT)
        self._pause_s = FIRST_PAUSE_S
        self._usable_since = -math.inf
        self._probe_at: float | None = None
        self._open_until = -math.inf
        self._slow_at = -math.inf
        self._hung = False

    @property
    def usable(self) -> bool:
        """Return whether to run on the accelerator."""
        return self._probe_at is None

    @property
    def slow(self) -> bool:
        """Return whether it ever took too long to open."""
        return self._slow_at > -math.inf

    @property
    def hung(self) -> bool:
        """Return whether it crashed or hung, and has not worked since."""
        return self._hung

    def failed(self, now: float, loss: Loss = Loss.FAILED) -> float:
        """Count a failure, in use or in a probe; return for how many seconds the CPU takes over.

        Until the next probe is due, failures are those of pipelines that require the accelerator and try
        it again and again: they count once. An absent device does not come and go.
        """
        self._hung |= loss is Loss.FAILED
        if self._probe_at is not None and now < self._probe_at:
            return self._probe_at - now
        if self.usable and now - self._usable_since > STABLE_S:
            self._pause_s = FIRST_PAUSE_S
        if loss is Loss.SLOW and now - self._slow_at > STABLE_S:
            self._slow_at = self._probe_at = now
            return 0.0
        pause_s = self._pause_s
        if loss is not Loss.ABSENT:
            self._failures.append(now)
            if len(self._failures) == BREAKER_COUNT and now - self._failures[0] <= BREAKER_S:
                pause_s, self._open_until = LONGEST_PAUSE_S, now + LONGEST_PAUSE_S
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._probe_at = now + pause_s
        return pause_s

    def is_probe_due(self, now: float) -> bool:
        """Return whether it is time for a probe."""
        return self._probe_at is not None and now >= self._probe_at

    def works(self, now: float) -> None:
        """Use the accelerator again: a probe, or a pipeline that requires it, ran on it."""
        self._probe_at, self._usable_since, self._hung = None, now, False

    def plugged_in(self, now: float) -> None:
        """Probe soon, unless the device comes and goes."""
        if self._probe_at is not None and now >= self._open_until:
            self._probe_at = min(self._probe_at, now + SETTLE_S)
            self._pause_s = FIRST_PAUSE_S


class AcceleratorPresence:
    """Notices when an Edge TPU is plugged in, from what the kernel lists; opens no device.

    Args:
        root: the root of the file system; another one in tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._usb = root / "sys/bus/usb/devices"
        self._dev = root / "dev"
        self._present = self.devices()

    def devices(self) -> frozenset[str]:
        """Return the USB ports and device nodes of the Edge TPUs present, such as ``2-1`` and ``apex_0``."""
        found = {port.name for port in _entries(self._usb, "[0-9]*") if _is_tpu(port)}
        return frozenset(found | {node.name for node in _entries(self._dev, "apex_*")})

    def appeared(self) -> bool:
        """Return whether one is present now that was absent at the last call.

        One that comes back on its port under another product id only received its firmware.
        """
        before, self._present = self._present, self.devices()
        return bool(self._present - before)


def _entries(folder: Path, pattern: str) -> list[Path]:
    try:
        return list(folder.glob(pattern))
    except OSError:  # no such bus, or not readable for this user
        return []


def _is_tpu(port: Path) -> bool:
    if ":" in port.name:  # an interface of a device
        return False
    try:
        vendor, product = ((port / name).read_text("ascii").strip() for name in ("idVendor", "idProduct"))
    except (OSError, ValueError):  # it has just been unplugged
        return False
    return (vendor, product) in CORAL_USB


class Accelerators:
    """Decides for each accelerator whether its pipelines with policy ``prefer`` run on it.

    Args:
        forkserver: forks probes.
        order: returns the order and the deadlines of a probe by the accelerator's key; None where no pipeline
            waits for that accelerator on the CPU, or where pipelines that require it try it anyway.
        changed: called when an accelerator can be used again.
        plugged_in: called when one was plugged in.
        root: the root of the file system; another one in tests.
    """

    def __init__(
        self,
        forkserver: ForkServer,
        order: Callable[[str], tuple[OrderMaker, Mapping[Stage, float]] | None],
        changed: Callable[[], object],
        plugged_in: Callable[[], object],
        root: Path,
    ) -> None:
        self._forkserver = forkserver
        self._order = order
        self._changed = changed
        self._plugged_in = plugged_in
        self._root = root
        self._presence: AcceleratorPresence | None = None
        self._looked_at = 0.0
        self._breakers: dict[str, CircuitBreaker] = {}
        self._probes: dict[str, AcceleratorProbe] = {}

    def usable(self, key: str) -> bool:
        """Return whether to use an accelerator; its bus is watched from the first call on."""
        if self._presence is None:
            self._presence = AcceleratorPresence(self._root)
        if key not in self._breakers:
            breaker = self._breakers[key] = CircuitBreaker()
            if key.startswith(EDGETPU) and any(not stick.ready for stick in board.coral_sticks(self._root)):
                # To end a worker that loads it would interrupt it, so a probe has the time.
                log.info("%s: it has no firmware yet; the CPU serves until it has", key)
                breaker.failed(clock.monotonic(), Loss.SLOW)
        return self._breakers[key].usable

    def slow(self, key: str) -> bool:
        """Return whether an accelerator needs its full time to open."""
        return key in self._breakers and self._breakers[key].slow

    def hung(self, key: str) -> bool:
        """Return whether an accelerator is to be reset before it is opened."""
        return key in self._breakers and self._breakers[key].hung

    def failed(self, key: str, why: str, loss: Loss = Loss.FAILED) -> None:
        """Count a failure, in use or in a probe."""
        breaker = self._breakers.setdefault(key, CircuitBreaker())
        now = clock.monotonic()
        counts = breaker.usable or breaker.is_probe_due(now)
        pause_s = breaker.failed(now, loss)
        if counts:
            when = f"in {pause_s / 60:.0f} min" if pause_s else "at once, with more time"
            log.warning("%s: %s; trying it again %s", key, why, when)

    def works(self, key: str) -> None:
        """Use an accelerator again: a probe, or a pipeline that requires it, ran on it."""
        breaker = self._breakers.get(key)
        if breaker is not None and not breaker.usable:
            breaker.works(clock.monotonic())
            log.info("%s: works again", key)
            self._changed()

    def look(self, now: float) -> None:
        """Start probes that are due and watch those that run; cheap, and called often."""
        if self._presence is not None and now - self._looked_at >= PRESENCE_S:
            self._looked_at = now
            if self._presence.appeared():
                log.info("an Edge TPU was plugged in")
                for key, breaker in self._breakers.items():
                    if key.startswith(EDGETPU):
                        breaker.plugged_in(now)
                self._plugged_in()
        for key, breaker in list(self._breakers.items()):
            if key in self._probes:
                self._probes[key].look(now)
            elif breaker.is_probe_due(now) and (found := self._order(key)) is not None:
                self._begin(key, *found)

    def forgive(self, now: float) -> None:
        """Extend the deadlines of probes: this process itself was suspended."""
        for probe in self._probes.values():
            probe.forgive(now)

    def _begin(self, key: str, order: OrderMaker, deadlines: Mapping[Stage, float]) -> None:
        log.info("%s: trying it again", key)
        self._probes[key] = AcceleratorProbe(
            order, deadlines, self._forkserver, functools.partial(self._probed, key)
        )

    def _probed(self, key: str, why: str, *, absent: bool = False) -> None:
        del self._probes[key]
        if why:
            self.failed(key, why, Loss.ABSENT if absent else Loss.FAILED)
        else:
            self.works(key)

    async def stop(self) -> None:
        """End the probes."""
        probes, self._probes = list(self._probes.values()), {}
        await asyncio.gather(*(probe.stop() for probe in probes))
