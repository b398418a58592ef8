"""Keeps the discovery of a node in Home Assistant up to date over one connection after the other."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from edged.homeassistant import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.sensors import SensorConfig

GAP_S = 1.0  # between two discoveries of one node
SETTLE_S = 1.0  # after a connect, for the retained message to arrive
BIRTH_S = (
    0.5,
    3.0,
)  # after Home Assistant's birth, spread so that a house full of nodes does not answer at once


class Announcer:
    """Decides when the discovery topic is written; the MQTT sink writes it (``edged.sinks.Discovery``).

    Args:
        node: this node's name.
        pipelines: the names of its pipelines.
        prefix: the MQTT prefix of edged.
        discovery_prefix: Home Assistant's.
        enabled: announce; otherwise withdraw what an earlier run announced.
        uniform: draws a number between two, which spreads the answers to a birth.
        sensors: their configuration, by name.
    """

    def __init__(
        self,
        node: str,
        pipelines: Sequence[str],
        *,
        prefix: str = "edged",
        discovery_prefix: str = "homeassistant",
        enabled: bool = True,
        uniform: Callable[[float, float], float] = random.uniform,
        sensors: Mapping[str, SensorConfig] | None = None,
    ) -> None:
        self._node = node
        self._pipelines = tuple(pipelines)
        self._sensors = dict(sensors or {})
        self._prefix = prefix
        self._topic = f"{discovery_prefix}/device/{node}/config"
        self._birth = f"{discovery_prefix}/status"
        self._enabled = enabled
        self._uniform = uniform
        self._retained = b""  # what the broker holds on the topic
        self._known: dict[str, str] = {}  # its components and those of the payloads before
        self._again = False  # publish even what the broker holds already
        self._due: float | None = None
        self._sent_at = float("-inf")

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """The discovery topic, to read it back, and Home Assistant's birth message."""
        return (self._topic, self._birth)

    @property
    def wake_at(self) -> float | None:
        """Monotonic time, in s, at which ``poll`` has something to do; None: nothing is due."""
        return None if self._due is None else max(self._due, self._sent_at + GAP_S)

    def update(
        self, pipelines: Sequence[str], now: float, sensors: Mapping[str, SensorConfig] | None = None
    ) -> None:
        """Announce these pipelines and sensors from now on."""
        self._pipelines = tuple(pipelines)
        self._sensors = dict(sensors or {})
        self._plan(now)

    def connected(self, now: float) -> None:
        """Wait for the retained message, to read it back."""
        self._retained = b""
        self._due = now + SETTLE_S

    def disconnected(self) -> None:
        """Do nothing until the next connection."""
        self._due = None

    def message(self, topic: str, payload: bytes, *, retained: bool, now: float) -> None:
        """Read the retained message back, or note that Home Assistant has started."""
        if topic == self._topic and retained:
            self._retained = payload
            self._known |= _components(payload)
            self._plan(now)
        elif topic == self._birth and not retained and payload == b"online" and self._enabled:
            self._again = True
            self._plan(now + self._uniform(*BIRTH_S))

    def refused(self, topic: str) -> None:
        """Do nothing: what was refused is named in health."""

    def poll(self, now: float) -> list[tuple[str, bytes]]:
        """Return the message that is due."""
        wake = self.wake_at
        if wake is None or now < wake:
            return []
        self._due = None
        text = self._text(now)
        if text is None or (text == self._retained and not self._again):
            return []
        self._again = False
        self._retained = text
        self._sent_at = now
        return [(self._topic, text)]

    def _plan(self, at: float) -> None:
        self._due = at if self._due is None else max(self._due, at)

    def _text(self, now: float) -> bytes | None:
        """Return what the topic should hold now; None where another program owns it."""
        if not self._enabled:
            ours = bool(_components(self._retained))
            self._known.clear()
            return b"" if ours else None
        data, known = payload(
            self._node, self._pipelines, self._known, prefix=self._prefix, sensors=self._sensors
        )
        moved = [id_ for id_, platform in self._known.items() if known.get(id_, platform) != platform]
        for id_ in moved:  # removed first, or the entity of the old platform would stay beside the new one
            data["cmps"][id_] = {"p": self._known[id_]}
        if moved:
            self._plan(now + GAP_S)
        self._known = known
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()


def _components(text: bytes) -> dict[str, str]:
    """Return the component ids of a payload of edged, with their platforms; {} for any other payload."""
    try:
        data = json.loads(text)
        if data["o"]["name"] != "edged":
            return {}
        return {str(id_): str(component["p"]) for id_, component in data["cmps"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
