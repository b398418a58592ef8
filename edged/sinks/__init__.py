"""Sinks: where events leave. This file is the contract; each driver is one file in ``drivers``.

```
 spool ──pending, acknowledged──▶ SpoolSink: MQTT, or lines where there is no broker     nothing is lost
   └─────────on_committed───────▶ Sink, Sink, …: drivers                    a copy, at once or not at all
```

``sinks: {archive: {kind: jsonl, …}}`` in the configuration loads the module ``edged.sinks.drivers.jsonl``
(or, for others' drivers, the entry point ``jsonl`` of the group ``edged.sinks``), which exposes

* ``Config``, a subclass of :class:`edged.sinks.SinkConfig` whose field descriptions are its reference page,
* ``create(config) -> Sink``, which does no I/O: ``edged check`` calls it on any laptop.

The first line of a driver's docstring is its help line. Contract of a Sink, held by one conformance test
over every driver:

* ``send(event)`` gets one event at a time, as JSON, and opens what it needs. It must not block for longer
  than a fraction of a second: the main thread calls it. It raises ``Unavailable`` where the event is lost;
  the next event is tried again.
* ``close()`` gives everything back; it may be called twice, and before the first ``send``.
* One thread calls both.

Only one sink takes events out of the spool and loses none; docs/decisions/0013 tells what a second one needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from pydantic import Field

from edged.drivers import Registry, Section
from edged.errors import DriverError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class KeyProblem(NamedTuple):
    """A mistake that a driver finds in its block, where no device or network is needed to find it.

    Attributes:
        key: the key of the block.
        what: what is wrong, in a sentence.
        hint: what to write or to do.
    """

    key: str
    what: str
    hint: str


class SinkConfig(Section):
    """The keys that every sink has; a driver's ``Config`` adds its own."""

    kind: str = Field(description="the driver: the name of its module")

    def problems(self) -> Iterable[KeyProblem]:
        """Return what ``edged check`` is to report beyond the ranges of the keys."""
        return ()


class Sink(Protocol):
    """Gets a copy of each event; what it does not take is not kept for it."""

    def send(self, event: bytes) -> None:
        """Send one event, as JSON. Raises ``Unavailable`` where it is lost."""

    def close(self) -> None:
        """Give everything back; harmless when called twice."""


class SpoolSink(Protocol):
    """Takes events out of the spool, and keeps topics at their values where it has topics."""

    @property
    def state(self) -> str:
        """The state now, in one or two words; ``connected`` and ``none`` are in order."""

    @property
    def detail(self) -> str:
        """A sentence that goes with the state."""

    @property
    def degraded(self) -> Literal["", "auth", "certificate"]:
        """The setting that a person has to put right: ``auth``, ``certificate``, or "" for nothing."""

    @property
    def problems(self) -> Sequence[str]:
        """Sentences about what the other side does not take from this node."""

    def open(self) -> None:
        """Begin; never raises because the other side is away."""

    def check(self) -> None:
        """Look after itself; called about once a second."""

    def drain(self) -> None:
        """Send what may be sent now."""

    def retain(self, suffix: str, payload: bytes | str) -> None:
        """Keep a topic below the node's at this value; empty clears it."""

    def result(self, pipeline: str, payload: bytes) -> None:
        """Send one inference, or drop it."""

    def reading(self, line: bytes) -> None:
        """Send one reading of a sensor, or drop it; a sink with topics gets its readings by ``retain``."""

    def close(self, timeout_s: float) -> None:
        """Send what can still be sent, and end, in that time."""


class Discovery(Protocol):
    """Keeps a retained topic of another system's convention up to date. It decides; the sink sends."""

    @property
    def subscriptions(self) -> Sequence[str]:
        """The topics whose messages it needs."""

    @property
    def wake_at(self) -> float | None:
        """Monotonic time of the next thing to do; None for nothing."""

    def connected(self, now: float) -> None:
        """Begin a connection, whose subscriptions were just sent."""

    def disconnected(self) -> None:
        """Wait for the next connection."""

    def message(self, topic: str, payload: bytes, *, retained: bool, now: float) -> None:
        """Take a message on one of the subscriptions."""

    def refused(self, topic: str) -> bool:
        """Note that a message is too large, or not taken at all; return whether others come in its place."""

    def poll(self, now: float) -> Sequence[tuple[str, bytes]]:
        """Return what is to be published now, retained: topics and payloads."""


_registry = Registry("edged.sinks", "sink", "edged.sinks.drivers")


def kinds() -> list[str]:
    """Return the names of all drivers: those of this package and those that others registered."""
    return _registry.kinds()


def load(kind: str) -> Any:
    """Return the driver module of that kind.

    Raises:
        DriverError: there is no such driver; the message lists those that exist.
    """
    return _registry.load(kind)


def create(config: SinkConfig) -> Sink:
    """Return the sink of a block, not opened.

    Raises:
        DriverError: there is no such driver, or it fails.
    """
    driver = load(config.kind)
    try:
        sink: Sink = driver.create(config)
    except DriverError:
        raise
    except Exception as error:  # a driver that somebody else installed may raise anything
        what = f"the sink '{config.kind}' cannot be made: {type(error).__name__}: {error}"
        raise DriverError(what) from error
    return sink
