"""The outputs: the sink that empties the spool, the copies, and Home Assistant's announcer.

They are built together from their part of the configuration, and rebuilt together when that part changes.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from edged import sinks
from edged.config.secrets import read_secret
from edged.errors import ConfigError, DriverError, Problem, Unavailable
from edged.homeassistant.announced import AnnouncedTopics
from edged.homeassistant.announcer import Announcer
from edged.homeassistant.label_entities import Watched
from edged.sinks.drivers import jsonl
from edged.sinks.readable import Readable
from edged.sinks.spooled import SpooledSink

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from edged.config.outputs import Mqtt
    from edged.config.root import Config
    from edged.config.secrets import Secret
    from edged.sinks import Sink, SinkConfig, SpoolSink
    from edged.spool import Spool

log = logging.getLogger(__name__)


class Copy:
    """Gives a sink each event at once; an event that it does not take is not kept for it.

    Args:
        name: the sink's name in the configuration, for the log.
        sink: gets the events.
    """

    def __init__(self, name: str, sink: Sink) -> None:
        self._name = name
        self._sink = sink
        self._works = True

    def send(self, event: bytes) -> None:
        """Send an event; a failure is logged once, and never raised: it must not hold up the others."""
        try:
            self._sink.send(event)
        except Unavailable as error:
            if self._works:
                log.warning("events are not copied to %s: %s", self._name, error)
            self._works = False
        except Exception:
            if self._works:
                log.exception("events are not copied to %s: a defect in its driver", self._name)
            self._works = False
        else:
            if not self._works:
                log.info("events are copied to %s again", self._name)
            self._works = True

    def close(self) -> None:
        """Close the sink; a defect in its driver is logged."""
        try:
            self._sink.close()
        except Exception:
            log.exception("%s could not be closed", self._name)


class Outputs(NamedTuple):
    """Everything that goes out.

    Attributes:
        sink: takes events out of the spool.
        copies: get each event too.
        announcer: announces the node to Home Assistant, where there is a broker.
    """

    sink: SpoolSink
    copies: tuple[Copy, ...] = ()
    announcer: Announcer | None = None

    def close(self, timeout_s: float) -> None:
        """Send what can still be sent, in that time."""
        self.sink.close(timeout_s)
        for copy in self.copies:
            copy.close()


def secret(config: Config) -> Secret | None:
    """Return the broker's password. Raises ``ConfigError``."""
    if config.mqtt is None or config.mqtt.password_file is None:
        return None
    return read_secret(config.mqtt.password_file)


def needs(config: Config, password: Secret | None) -> object:
    """Return everything that the outputs depend on, to compare."""
    clear = None if password is None else password.reveal()
    return config.mqtt, config.jsonl, config.sinks, config.homeassistant, clear


def wire(
    config: Config,
    *,
    spool: Spool,
    loop: asyncio.AbstractEventLoop,
    on_switch: Callable[[str, bool], None],
    on_command: Callable[[str, bytes], bytes],
    watched: bool = False,
) -> Outputs:
    """Build what goes out; nothing is opened yet.

    Args:
        config: the configuration.
        spool: where events wait.
        loop: the event loop.
        on_switch: called with each switch of a pipeline.
        on_command: called with each command; returns its result.
        watched: standard output is a terminal, so events are written for a person, unless ``jsonl`` is there.

    Raises:
        ConfigError: a TLS file is missing or wrong, or a driver of a sink cannot be used.
    """
    copies = [_copy(name, section) for name, section in config.sinks.items()]
    lines: Sink = jsonl.create(config.jsonl or jsonl.Jsonl())
    if config.mqtt is None:
        if config.jsonl is None and watched:
            lines = Readable(lines)
        return Outputs(SpooledSink(lines, spool, loop.call_later), tuple(copies))
    if config.jsonl is not None:
        copies.insert(0, Copy("jsonl", lines))
    wired = _mqtt(config, config.mqtt, spool=spool, loop=loop, on_switch=on_switch, on_command=on_command)
    return wired._replace(copies=tuple(copies))


def _copy(name: str, section: SinkConfig) -> Copy:
    try:
        return Copy(name, sinks.create(section))
    except DriverError as error:
        raise ConfigError([Problem(f"sinks.{name}", str(error))]) from error


def watched(config: Config) -> dict[str, Watched]:
    """Return the labels that have entities in Home Assistant, by pipeline."""
    found = {}
    for name, pipeline in config.pipelines.items():
        task = pipeline.task
        labels = task.watched or config.homeassistant.labels
        if task.own_labels:
            labels = tuple(label for label in labels if label in task.own_labels)
        closer = pipeline.then is not None
        if labels or closer:
            zones = tuple(task.scope.zones)
            found[name] = Watched(labels, task.by_label, counted=task.counts, zones=zones, closer=closer)
    return found


def _mqtt(
    config: Config,
    mqtt: Mqtt,
    *,
    spool: Spool,
    loop: asyncio.AbstractEventLoop,
    on_switch: Callable[[str, bool], None],
    on_command: Callable[[str, bytes], bytes],
) -> Outputs:
    from edged.sinks.mqtt.sink import MqttSink  # imports paho, which is needed only where there is a broker

    announcer = Announcer(
        config.node,
        list(config.pipelines),
        prefix=mqtt.prefix,
        discovery_prefix=config.homeassistant.prefix,
        enabled=config.homeassistant.discovery,
        sensors=config.sensors,
        watched=watched(config),
        announced=AnnouncedTopics(config.state_dir),
    )
    file = mqtt.password_file
    sink = MqttSink(
        mqtt,
        node=config.node,
        # Read again before each attempt, so that a renewed one is used without a restart.
        password=None if file is None else lambda: read_secret(file, warn=False).reveal(),
        spool=spool,
        call_soon=loop.call_soon_threadsafe,
        on_switch=on_switch,
        on_command=on_command,
        discovery=announcer,
        strict=config.spool.ordering == "strict",
        confirm=config.spool.ack == "application",
    )
    return Outputs(sink, announcer=announcer)
