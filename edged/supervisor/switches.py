"""Remembers how pipelines were switched over MQTT, over restarts, upgrades and power cuts.

A camera that a person switched off must not come back by itself. So the file in the state directory is on
the disk before a switch is confirmed. Of switches that follow each other within a second, the later ones are
in the file at once, where no kill takes them back, and on the disk a second later: whoever plays with a
switch must not keep main waiting for a slow card. An `enabled: true` or `false` in the configuration wins at
the next start, and the switch is forgotten.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from edged.errors import ConfigError
from edged.system import clock, files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

log = logging.getLogger(__name__)

NAME = "switches.json"
FLUSH_S = 1.0  # between two times that the disk is waited for
MOST = 256  # pipelines, of this configuration and of earlier ones
_MOST_BYTES = 1 << 16
_MODE = 0o600


@dataclass(frozen=True)
class Switch:
    """A switch of a pipeline over MQTT.

    Attributes:
        on: whether it was switched on.
        at: the time, s since 1970.
    """

    on: bool
    at: float


class Switches:
    """The last switch of each pipeline; until :meth:`keep_in` only in memory.

    Args:
        now: returns monotonic time in s.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._flushed_at = float("-inf")
        self._flushed = True
        self._path: Path | None = None
        self._switches: dict[str, Switch] = {}
        self._trouble = ""

    @property
    def trouble(self) -> str:
        """Why switches would not outlive a restart, in one sentence; empty where they do."""
        return self._trouble

    def keep_in(self, folder: Path) -> None:
        """Keep them in a file of this folder from now on, beginning with those that are there."""
        self._path = folder / NAME
        self._switches = dict(_read(self._path))

    def all(self) -> Mapping[str, Switch]:
        """Return the last switch of each pipeline, by name, also of pipelines that are gone."""
        return self._switches

    def switched(self, name: str, on: bool) -> None:
        """Note a switch; it is in the file when this returns, unless that failed, which is logged."""
        self._switches.pop(name, None)
        self._switches[name] = Switch(on, clock.wall())
        while len(self._switches) > MOST:
            del self._switches[next(iter(self._switches))]
        self._write()

    def at_start(self, name: str, enabled: bool | Literal["last"]) -> bool:
        """Return whether a pipeline begins to run; an explicit value wins over the switch, and clears it."""
        switch = self._switches.get(name)
        if enabled == "last":
            return switch is None or switch.on
        if switch is not None:
            if switch.on != enabled:
                log.info(
                    "%s: it was switched %s over MQTT at %s; the configuration has enabled: %s, which wins",
                    name,
                    "on" if switch.on else "off",
                    clock.rfc3339(switch.at),
                    "true" if enabled else "false",
                )
            del self._switches[name]
            self._write()
        return enabled

    def flush(self) -> None:
        """Bring to the disk what is only in the file yet, where it is time; to be called now and then."""
        if not self._flushed and self._now() - self._flushed_at >= FLUSH_S:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        now = self._now()
        durable = now - self._flushed_at >= FLUSH_S
        data = {"v": 1, "switches": {name: asdict(switch) for name, switch in self._switches.items()}}
        following = self._path.with_suffix(".next")
        try:
            content = json.dumps(data, indent=1).encode() + b"\n"
            (files.write_flushed if durable else files.write_anew)(following, content, _MODE)
            following.replace(self._path)
            if durable:
                files.flush(self._path.parent)
                self._flushed_at = now
            self._flushed = durable
        except OSError as error:
            why = f"switches cannot be kept in {self._path}: {(error.strerror or str(error)).lower()}"
            if not self._trouble:
                log.warning("%s", why)
            self._trouble = why
        else:
            self._trouble = ""


def _read(path: Path) -> Iterator[tuple[str, Switch]]:
    """Yield what a file has; a damaged one is told and has nothing."""
    try:
        data, _ = files.read_regular(path, _MOST_BYTES)
        found = json.loads(data)["switches"].items()
    except (ConfigError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        with contextlib.suppress(OSError):
            if path.exists():
                log.warning("%s cannot be read, pipelines start as configured: %s", path, error)
        return
    for name, switch in found:
        if isinstance(name, str) and (read := _switch(switch)) is not None:
            yield name, read


def _switch(data: Any) -> Switch | None:
    match data:
        case {"on": bool(on), "at": (int() | float()) as at} if math.isfinite(at) and 0 <= at < 1e11:
            return Switch(on, float(at))
    return None
