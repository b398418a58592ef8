"""What a connection needs, from the section ``mqtt`` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.sinks.mqtt import tls as _tls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from edged.config.outputs import Mqtt


@dataclass(frozen=True)
class Settings:
    """What a connection needs.

    Attributes:
        will_topic: where the broker says ``offline`` when this client is gone; empty for nowhere.
        password, tls: asked anew for each connection, so that what was renewed on disk is used.
        files: that these two read; when one changes it is worth an attempt.
    """

    host: str
    port: int
    client_id: str
    mqtt5: bool
    keepalive_s: int
    will_topic: str
    username: str | None = None
    password: Callable[[], str | None] = lambda: None
    tls: Callable[[], ssl.SSLContext] | None = None
    files: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        return f"{self.host}:{self.port}"


def settings(
    config: Mqtt, *, client_id: str, will_topic: str, password: str | Callable[[], str] | None
) -> Settings:
    """Make them.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """
    tls = config.tls
    if tls is not None:
        _tls.context(tls)  # a wrong file is an error of the configuration, to be told now
    files = (config.password_file, *((tls.ca_file, tls.cert_file, tls.key_file) if tls is not None else ()))
    return Settings(
        host=config.host,
        port=config.port_number,
        client_id=client_id,
        mqtt5=config.protocol == "5",
        keepalive_s=config.keepalive_s,
        will_topic=will_topic,
        username=config.username,
        password=password if callable(password) else lambda: password,
        tls=None if tls is None else lambda: _tls.context(tls),
        files=tuple(path for path in files if path is not None),
    )
