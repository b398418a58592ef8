"""Keeps the discovery of a node in Home Assistant up to date over one connection after the other."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from edged.homeassistant import payload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.homeassistant.announced import AnnouncedTopics
    from edged.homeassistant.label_entities import Watched
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
        watched: the labels that have entities of their own, by pipeline.
        announced: the topics that hold this node's messages; None: any may, so the topic is read back.
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
        watched: Mapping[str, Watched] | None = None,
        announced: AnnouncedTopics | None = None,
    ) -> None:
        self._node = node
        self._announced = announced
        self._discovery_prefix = discovery_prefix
        self._split = False  # one message an entity
        self._given_up = False
        self._sent: dict[str, bytes] = {}  # over this connection, where it is split
        self._pipelines = tuple(pipelines)
        self._sensors = dict(sensors or {})
        self._watched = dict(watched or {})
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
        """The discovery topic, to read it back, and Home Assistant's birth message.

        Empty where discovery is off and nothing is left to withdraw.
        """
        if self._enabled or self._announced is None:
            return (self._topic, self._birth)
        return (self._topic,) if self._topic in self._announced else ()

    @property
    def wake_at(self) -> float | None:
        """Monotonic time, in s, at which ``poll`` has something to do; None: nothing is due."""
        return None if self._due is None else max(self._due, self._sent_at + GAP_S)

    def update(
        self,
        pipelines: Sequence[str],
        now: float,
        sensors: Mapping[str, SensorConfig] | None = None,
        watched: Mapping[str, Watched] | None = None,
    ) -> None:
        """Announce these pipelines, sensors and labels from now on."""
        self._pipelines = tuple(pipelines)
        self._sensors = dict(sensors or {})
        self._watched = dict(watched or {})
        self._plan(now)

    def connected(self, now: float) -> None:
        """Wait for the retained message, to read it back."""
        self._retained = b""
        self._sent.clear()
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

    def refused(self, topic: str) -> bool:
        """Announce one entity at a time where the whole is too large; give up where that does not help.

        Returns:
            Whether there is another way.
        """
        if topic == self._topic and not self._split:
            self._split, self._due = True, self._sent_at
            return True
        self._given_up |= topic.startswith(f"{self._discovery_prefix}/")
        return False

    def poll(self, now: float) -> list[tuple[str, bytes]]:
        """Return the message that is due."""
        wake = self.wake_at
        if wake is None or now < wake:
            return []
        self._due = None
        if self._given_up:
            return []
        again, self._again = self._again, False
        if self._split and self._enabled:
            return self._entities(again=again)
        withdrawn = self._withdraw_others({self._topic})
        if withdrawn and self._enabled:
            self._plan(now + GAP_S)  # an entity of the same id would be refused while the other is there
            return withdrawn
        text = self._text(now)
        if text is None or (text == self._retained and not again):
            if not self._enabled and self._announced is not None:
                self._announced.remove([self._topic])
            return withdrawn
        self._retained = text
        self._sent_at = now
        if self._announced is not None:
            (self._announced.add if text else self._announced.remove)([self._topic])
        return [*withdrawn, (self._topic, text)]

    def _withdraw_others(self, wanted: set[str]) -> list[tuple[str, bytes]]:
        """Forget what was announced on other topics than these; return the messages that withdraw it."""
        if self._announced is None:
            return []
        gone = [topic for topic in self._announced.all() if topic not in wanted]
        self._announced.remove(gone)
        return [(topic, b"") for topic in gone]

    def _entities(self, *, again: bool) -> list[tuple[str, bytes]]:
        """Return a message for each entity that is new, and one that withdraws what is gone."""
        data, _ = self._payload({})
        wanted = {}
        for id_, component in data["cmps"].items():
            where = f"{component.pop('p')}/{self._node}/{id_.replace('.', '_')}"
            whole = {"dev": data["dev"], "o": data["o"], "avty": data["avty"], **component}
            wanted[f"{self._discovery_prefix}/{where}/config"] = _dumped(whole)
        withdrawn = self._withdraw_others(set(wanted))
        if self._announced is None and self._retained:
            withdrawn.append((self._topic, b""))
        self._retained = b""
        new = [(topic, text) for topic, text in wanted.items() if again or self._sent.get(topic) != text]
        self._sent = wanted
        if self._announced is not None:
            self._announced.add(wanted)
        return withdrawn + new

    def _payload(self, previous: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
        return payload(
            self._node,
            self._pipelines,
            previous,
            prefix=self._prefix,
            sensors=self._sensors,
            watched=self._watched,
        )

    def _plan(self, at: float) -> None:
        self._due = at if self._due is None else max(self._due, at)

    def _text(self, now: float) -> bytes | None:
        """Return what the topic should hold now; None where another program owns it."""
        if not self._enabled:
            ours = bool(_components(self._retained))
            self._known.clear()
            return b"" if ours else None
        data, known = self._payload(self._known)
        moved = [id_ for id_, platform in self._known.items() if known.get(id_, platform) != platform]
        for id_ in moved:  # removed first, or the entity of the old platform would stay beside the new one
            data["cmps"][id_] = {"p": self._known[id_]}
        if moved:
            self._plan(now + GAP_S)
        self._known = known
        return _dumped(data)


def _dumped(data: object) -> bytes:
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
