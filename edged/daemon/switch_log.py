"""Log of the switches that arrive over MQTT: what was settled, not each message."""

from __future__ import annotations

import asyncio
import logging

log = logging.getLogger(__name__)

SETTLE_S = 1.0  # switches within this time are one
_MOST_UNKNOWN = 1000


class SwitchLog:
    """Logs a pipeline's switch when no other one has followed for a while, and at most once in that time.

    Args:
        settle_s: the time for which switches are collected, in s.
    """

    def __init__(self, settle_s: float = SETTLE_S) -> None:
        self._settle_s = settle_s
        self._switched: dict[str, str] = {}
        self._unknown: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None

    def switched(self, name: str, on: bool, *, lasts: bool = True) -> None:
        """Note that a pipeline was switched on or off.

        Args:
            name: the pipeline's name.
            on: whether it was switched on.
            lasts: whether it stays so after a restart; otherwise the configuration says how it starts.
        """
        until = "" if lasts else ", until the next start (the configuration has enabled: true or false)"
        self._switched[name] = f"{'on' if on else 'off'} over MQTT{until}"
        self._plan()

    def unknown(self, name: str) -> None:
        """Note a switch of a pipeline that does not exist."""
        if len(self._unknown) < _MOST_UNKNOWN:
            self._unknown.add(name)
        self._plan()

    def _plan(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._settle_s, self.write)

    def write(self) -> None:
        """Log what was collected; called also when the daemon stops."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
        for name, how in self._switched.items():
            log.info("%s: switched %s", name, how)
        if self._unknown:
            log.warning("MQTT switches pipelines that do not exist: %s", _shown(self._unknown))
        self._switched.clear()
        self._unknown.clear()


def _shown(names: set[str]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{min(names)}{more}"
