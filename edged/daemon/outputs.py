"""What goes out and how: the outlet of the spool, the copy of events, Home Assistant's announcer.

It is built as a whole from its part of the configuration, and rebuilt as a whole when that part changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edged.config.secrets import read_secret
from edged.homeassistant.announcer import Announcer
from edged.sinks.jsonl import JsonlSink, SpooledLines
from edged.spool import open_spool

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from edged.config.outputs import Mqtt
    from edged.config.root import Config
    from edged.config.secrets import Secret
    from edged.sinks import EventSink
    from edged.spool import Spool


class Outputs(NamedTuple):
    """Everything that goes out.

    Attributes:
        sink: takes events out of the spool.
        copy: JSON lines beside MQTT.
        announcer: to Home Assistant, where there is a broker.
    """

    sink: EventSink
    copy: JsonlSink | None = None
    announcer: Announcer | None = None

    def close(self, timeout_s: float) -> None:
        """Send what can still be sent, in that time."""
        self.sink.close(timeout_s)
        if self.copy is not None:
            self.copy.close()


def spool(
    config: Config,
    loop: asyncio.AbstractEventLoop,
    on_committed: Callable[[Sequence[bytes]], None],
) -> Spool:
    """Return the spool, where events wait; it calls back with those that are on disk for good.

    Raises:
        StateBusy: another edged has the state directory.
    """
    return open_spool(
        config.spool,
        node=config.node,
        state_dir=config.state_dir,
        call_soon=loop.call_soon_threadsafe,
        on_committed=on_committed,
    )


def secret(config: Config) -> Secret | None:
    """Return the broker's password. Raises ``ConfigError``."""
    if config.mqtt is None or config.mqtt.password_file is None:
        return None
    return read_secret(config.mqtt.password_file)


def needs(config: Config, password: Secret | None) -> object:
    """Return what the wiring depends on, to compare."""
    clear = None if password is None else password.reveal()
    return config.mqtt, config.jsonl, config.homeassistant, clear


def wire(
    config: Config,
    *,
    spool: Spool,
    loop: asyncio.AbstractEventLoop,
    on_switch: Callable[[str, bool], None],
    on_command: Callable[[str, bytes], bytes],
) -> Outputs:
    """Build what goes out; nothing is opened yet.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """
    jsonl = config.jsonl
    lines = JsonlSink(jsonl.path, max_mb=jsonl.max_mb, keep=jsonl.keep) if jsonl else None
    if config.mqtt is None:
        return Outputs(SpooledLines(lines or JsonlSink(), spool, loop.call_later))
    wired = _mqtt(config, config.mqtt, spool=spool, loop=loop, on_switch=on_switch, on_command=on_command)
    return wired._replace(copy=lines)


def _mqtt(
    config: Config,
    mqtt: Mqtt,
    *,
    spool: Spool,
    loop: asyncio.AbstractEventLoop,
    on_switch: Callable[[str, bool], None],
    on_command: Callable[[str, bytes], bytes],
) -> Outputs:
    from edged.sinks.mqtt import MqttSink  # paho only where there is a broker

    announcer = Announcer(
        config.node,
        list(config.pipelines),
        prefix=mqtt.prefix,
        discovery_prefix=config.homeassistant.prefix,
        enabled=config.homeassistant.discovery,
        sensors=config.sensors,
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
