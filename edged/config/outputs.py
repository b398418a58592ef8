"""The configuration of the outputs: broker, Home Assistant, JSON lines, queue, health."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from edged import sinks
from edged.config.driver_sections import ByKind
from edged.config.values import NO_SPACES, Label, TopicLevels
from edged.drivers import SecretFile, Section, wrong
from edged.sinks import SinkConfig

HostName = Annotated[str, StringConstraints(pattern=NO_SPACES)]
_HIGHEST_PORT = 65535


class Tls(Section):
    """TLS to the broker. Verification of the broker's certificate and name is always on."""

    ca_file: Path | None = Field(
        examples=["ca.pem"], default=None, description="CA certificates (PEM); default: the system's"
    )
    cert_file: Path | None = Field(
        examples=["porch.pem"], default=None, description="this node's certificate (PEM); needs key_file"
    )
    key_file: SecretFile | None = Field(
        examples=["porch.key"],
        default=None,
        description="this node's private key (PEM) without a passphrase; searched for as password_file",
    )

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            key = "cert_file" if self.key_file is None else "key_file"
            raise wrong("cert_file and key_file need each other: write both or neither", key)
        return self


class Mqtt(Section):
    """The broker."""

    host: HostName | Annotated[tuple[HostName, ...], Field(min_length=1, max_length=16)] = Field(
        examples=["broker.lan"],
        description="the broker's name or address; of a list, such as [a, 'b:1884'], one after the other, "
        "the first by preference",
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        examples=[1883], default=None, description="default 1883, with tls 8883"
    )
    prefix: TopicLevels = Field(default="edged", description="the first part of every topic")
    protocol: Literal["auto", "5", "3.1.1"] = Field(
        default="auto", description='5, "3.1.1", or auto: 5 where the broker speaks it'
    )
    retain: bool = Field(
        default=True, description="retained messages; false for brokers or users that may not send them"
    )
    username: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        examples=["porch-pi"],
        default=None,
        description="user name at the broker; the password is in password_file",
    )
    password_file: SecretFile | None = Field(
        examples=["mqtt-password"],
        default=None,
        description="file that holds the password; in $CREDENTIALS_DIRECTORY, else beside this file",
    )
    reply_prefix: TopicLevels | None = Field(
        examples=["answers"],
        default=None,
        description="MQTT 5: commands may be answered below this topic too, not only below the node's own",
    )
    tls: Tls | None = Field(default=None, description="encryption; {} uses the system's CA certificates")
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=20, description="keep-alive, in s; a silent connection is detected within 1.5 times this"
    )

    @field_validator("host")
    @classmethod
    def _only_hosts(cls, host: str | tuple[str, ...]) -> str | tuple[str, ...]:
        if isinstance(host, str):
            name, port = split_host(host)
            if port is not None:
                raise ValueError("write only the host here; the port goes to port")
            return name
        for each in host:
            split_host(each)
        return host

    @model_validator(mode="after")
    def _login(self) -> Mqtt:
        if self.password_file is not None and self.username is None:
            raise wrong("password_file needs username: write username too", "password_file")
        return self

    @property
    def port_number(self) -> int:
        """The port to connect to, where the host does not name its own."""
        return self.port or (8883 if self.tls is not None else 1883)

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """The hosts with their ports, in the order in which they are tried."""
        hosts = (self.host,) if isinstance(self.host, str) else self.host
        return tuple((name, port or self.port_number) for name, port in map(split_host, hosts))


def split_host(host: str) -> tuple[str, int | None]:
    """Split a host and its port; ``[::1]:1884`` and ``b:1884`` have one. Raises ``ValueError``."""
    if "://" in host:
        raise ValueError("write only the host here; the port goes to port, encryption to tls")
    try:
        ipaddress.IPv6Address(host.strip("[]"))
    except ValueError:
        name, colon, port = host.rpartition(":")
        if not colon:
            return host, None
        if not (port.isascii() and port.isdigit() and 0 < int(port) <= _HIGHEST_PORT and name):
            raise ValueError(f"{port or 'nothing'} is not a port from 1 to {_HIGHEST_PORT}") from None
        return name.strip("[]"), int(port)
    return host.strip("[]"), None


class HomeAssistant(Section):
    """Home Assistant's MQTT device discovery."""

    discovery: bool = Field(default=True, description="announce this node to Home Assistant")
    prefix: TopicLevels = Field(default="homeassistant", description="Home Assistant's discovery prefix")
    labels: Annotated[tuple[Label, ...], Field(max_length=50)] = Field(
        examples=[["Egyptian cat", "tiger cat"]],
        default=(),
        description="a binary sensor of each pipeline for each of these labels, ON while it sees it, and an "
        "event and a trigger when it begins; task detect with labels of its own has these, and a count, for "
        "those instead",
    )


AnySink = Annotated[SinkConfig, ByKind("sink", SinkConfig, sinks.kinds, sinks.load)]


class SpoolSection(Section):
    """The queue of events that the broker has not acknowledged."""

    max_mb: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        default=64, description="maximum size, in MB; when it is full, the oldest events are dropped"
    )
    max_age_h: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = Field(
        default=168, description="drop events older than this, in h"
    )
    ordering: Literal["relaxed", "strict"] = Field(
        default="relaxed",
        description="strict: one event at a time, oldest first; slow after an outage",
    )
    ack: Literal["broker", "application"] = Field(
        default="broker",
        description="application: keep events until a consumer confirms them on <prefix>/<node>/ack",
    )
    min_free_mb: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        default=50,
        description="minimum free disk space, in MB; below it, the queue on disk does not grow",
    )
    low_wear_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        default=0,
        description="spare an SD card: write every N seconds; until then events are neither safe nor sent",
    )


class LogSection(Section):
    """The log of decisions, for `edged log` on this machine."""

    max_mb: Annotated[float, Field(ge=0, le=64, allow_inf_nan=False)] = Field(
        default=1, description="maximum size in state_dir, in MB; 0: keep none, and remove what is there"
    )


class HealthSection(Section):
    """The health topic."""

    interval_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        default=30, description="interval between health messages, in s"
    )
    prometheus: Annotated[str, StringConstraints(pattern=r"^(/\S*/)?[^/\s]+\.prom$")] | None = Field(
        examples=["edged.prom"],
        default=None,
        description="file NAME.prom for the textfile collector of Prometheus's node exporter, written with "
        "each health message; without a folder it is in run_dir",
    )
