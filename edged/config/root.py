"""The configuration's models: every key with its range, default and one sentence that is its reference.

The descriptions are the single text behind ``edged schema``, the commented sample and the error messages.
Scalars arrive as the text that stands in the file (see ``loader``), so ``12:30:00`` or ``no`` is read by the
type declared here and by nothing else.
"""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from edged.config.pipeline import (
    Accelerator,
    Deadlines,
    DecisionSection,
    LabelRule,
    ModelSection,
    Normalize,
    PipelineSection,
    Publish,
    TaskSection,
)
from edged.config.secrets import SecretFile
from edged.config.sensor import AnySensor
from edged.config.values import NO_SPACES, Name, Section, TopicLevels, TopicName, wrong
from edged.ipc.readings_page import name_of
from edged.ipc.readings_ring import RINGS

__all__ = [
    "Accelerator",
    "Config",
    "Deadlines",
    "DecisionSection",
    "HealthSection",
    "HomeAssistant",
    "Jsonl",
    "LabelRule",
    "ModelSection",
    "Mqtt",
    "Normalize",
    "PipelineSection",
    "Publish",
    "Section",
    "SpoolSection",
    "TaskSection",
    "Tls",
    "host_node",
]


class Tls(Section):
    """TLS to the broker. Verification of the broker's certificate and name is always on."""

    ca_file: Path | None = Field(
        examples=["ca.pem"], default=None, description="CA certificates (PEM); left out: the system's"
    )
    cert_file: Path | None = Field(
        examples=["porch.pem"], default=None, description="this node's certificate (PEM), with key_file"
    )
    key_file: SecretFile | None = Field(
        examples=["porch.key"],
        default=None,
        description="this node's private key (PEM), no passphrase; found as password_file is",
    )

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            key = "cert_file" if self.key_file is None else "key_file"
            raise wrong("cert_file and key_file belong together: write both or neither", key)
        return self


class Mqtt(Section):
    """The broker."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=NO_SPACES)] = Field(
        examples=["broker.lan"], description="name or address of the broker"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        examples=[1883], default=None, description="default 1883, with tls 8883"
    )
    prefix: TopicLevels = Field(default="edged", description="first part of every topic")
    protocol: Literal["5", "3.1.1"] = Field(default="5", description='5 or "3.1.1"')
    username: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        examples=["porch-pi"],
        default=None,
        description="name to log in with; its password stands in password_file",
    )
    password_file: SecretFile | None = Field(
        examples=["mqtt-password"],
        default=None,
        description="file with the password; looked for in $CREDENTIALS_DIRECTORY, then beside this file",
    )
    tls: Tls | None = Field(default=None, description="encrypt; {} takes the system's CA certificates")
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = Field(
        default=20, description="in s; a connection that fell silent is noticed within 1.5 times this"
    )

    @field_validator("host")
    @classmethod
    def _only_host(cls, host: str) -> str:
        if "://" in host:
            raise ValueError("write only the host here; the port goes to port, encryption to tls")
        if ":" in host.strip("[]"):
            try:
                ipaddress.IPv6Address(host.strip("[]"))
            except ValueError:
                raise ValueError("write only the host here; the port goes to port") from None
        return host.strip("[]")

    @model_validator(mode="after")
    def _login(self) -> Mqtt:
        if self.password_file is not None and self.username is None:
            raise wrong("a password needs a username: write username too", "password_file")
        return self

    @property
    def port_number(self) -> int:
        """The port to connect to."""
        return self.port or (8883 if self.tls is not None else 1883)


class HomeAssistant(Section):
    """Home Assistant's MQTT device discovery."""

    discovery: bool = Field(default=True, description="announce this node to Home Assistant")
    prefix: TopicLevels = Field(default="homeassistant", description="its discovery prefix")


class Jsonl(Section):
    """JSON lines beside MQTT."""

    path: Annotated[str, StringConstraints(min_length=1)] = Field(
        default="-", description='"-" is standard output, else a file in an existing folder'
    )
    max_mb: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        default=16, description="rotate a file at this size, in MB"
    )
    keep: Annotated[int, Field(ge=0, le=99)] = Field(default=3, description="rotated files to keep")


class SpoolSection(Section):
    """The queue of events that the broker has not acknowledged."""

    max_mb: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] = Field(
        default=64, description="room for events, in MB; where it is full the oldest are dropped"
    )
    max_age_h: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = Field(
        default=168, description="drop events older than this, in h"
    )
    ordering: Literal["relaxed", "strict"] = Field(
        default="relaxed",
        description="strict: one event at a time, and none before an older one; slow after an outage",
    )
    ack: Literal["broker", "application"] = Field(
        default="broker",
        description="application: keep events until a consumer confirms them on <prefix>/<node>/ack",
    )
    min_free_mb: Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)] = Field(
        default=50,
        description="leave so much of the disk free, in MB: below it the queue on disk does not grow",
    )
    low_wear_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = Field(
        default=0,
        description="spare an SD card: write so seldom, in s; until then an event is neither safe nor sent",
    )


class HealthSection(Section):
    """The health topic."""

    interval_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        default=30, description="time between two health messages, in s"
    )


def host_node() -> str:
    """Return the host's name as a node name: lower case, ``[a-z0-9-]``, at most 32 characters."""
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")[:32]
    return name or "edged"


def state_dir() -> Path:
    """Return the state directory that systemd gives (the first of several), else ``/var/lib/edged``."""
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/edged")


def run_dir() -> Path:
    """Return the run directory that systemd gives (the first of several), else ``/run/edged``."""
    return Path(os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/edged")


class Config(Section):
    """The whole file."""

    node: Name = Field(
        default_factory=host_node, description="[a-z0-9-], 1 to 32 characters; default: the host name"
    )
    state_dir: Path = Field(
        default_factory=state_dir,
        description="default $STATE_DIRECTORY, else /var/lib/edged; models and spool live here",
    )
    run_dir: Path = Field(default_factory=run_dir, description="default $RUNTIME_DIRECTORY, else /run/edged")
    mqtt: Mqtt | None = Field(
        default=None, description="left out: events and readings go to standard output as JSON lines"
    )
    homeassistant: HomeAssistant = Field(default_factory=HomeAssistant, description="device discovery")
    jsonl: Jsonl | None = Field(default=None, description="JSON lines, beside mqtt")
    spool: SpoolSection = Field(
        default_factory=SpoolSection, description="the queue of events that the broker has not acknowledged"
    )
    health: HealthSection = Field(default_factory=HealthSection, description="the health topic")
    isolation: Literal["required", "optional"] = Field(
        default="required",
        description="optional: run workers where they cannot be cut off too; network cameras are not",
    )
    sensors: Annotated[dict[TopicName, AnySensor], Field(max_length=256)] = Field(
        default_factory=dict, description="by name, which becomes part of the topic"
    )
    pipelines: Annotated[dict[TopicName, PipelineSection], Field(max_length=64)] = Field(
        default_factory=dict, validate_default=True, description="by name, which becomes part of the topic"
    )

    @field_validator("pipelines")
    @classmethod
    def _one_claim_a_device(cls, pipelines: dict[str, PipelineSection]) -> dict[str, PipelineSection]:
        """Pipelines share an accelerator that they name alike; other names for it would open it twice."""
        for (name, a), (other, b) in itertools.combinations(pipelines.items(), 2):
            mine, theirs = a.accelerator, b.accelerator
            if mine.contradicts(theirs):
                as_what = (f"{each.device} ({each.library})" for each in (mine, theirs))
                what = (
                    f"pipelines {name} and {other} both claim the Edge TPU, as {' and as '.join(as_what)}: "
                    "write the same in both to share it"
                )
                raise wrong(what, other, "accelerator")
        return pipelines

    @field_validator("pipelines")
    @classmethod
    def _something_to_do(
        cls, pipelines: dict[str, PipelineSection], info: ValidationInfo
    ) -> dict[str, PipelineSection]:
        if not pipelines and info.data.get("sensors") == {}:
            raise PydanticCustomError("nothing", "there must be a pipeline or a sensor")
        return pipelines

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The sensors' channels that a pipeline asks for, each once."""
        return tuple(sorted({name for pipeline in self.pipelines.values() for name in pipeline.looks_at}))

    @property
    def followed(self) -> tuple[str, ...]:
        """The sensors' channels that feed a pipeline, each once."""
        return tuple(sorted({name for pipeline in self.pipelines.values() for name in pipeline.follows}))

    @model_validator(mode="after")
    def _conditions_on_what_there_is(self) -> Config:
        known = {
            name_of(sensor, channel) for sensor, config in self.sensors.items() for channel in config.gives()
        }
        for name, pipeline in self.pipelines.items():
            for steps, sensor in pipeline.asked_for():
                if sensor not in known:
                    there = ", ".join(sorted(known)) or "none"
                    message = f"there is no sensor '{sensor}'; there are {there}"
                    raise wrong(message, "pipelines", name, *steps)
        return self

    @model_validator(mode="after")
    def _read_often_enough(self) -> Config:
        if len(self.followed) > RINGS:
            raise wrong(
                f"pipelines are fed by {len(self.followed)} channels; {RINGS} are the most", "pipelines"
            )
        for name, pipeline in self.pipelines.items():
            source = pipeline.series
            for number, channel in enumerate(pipeline.follows):
                every_s = self.sensors[channel.partition("/")[0]].interval_s
                if source is not None and every_s > source.gap_s:
                    message = (
                        f"{channel} is read every {every_s:g} s, and readings over {source.gap_s:g} s apart "
                        "are not connected (max_gap_s), so there would never be a window"
                    )
                    raise wrong(message, "pipelines", name, "source", "channels", number)
        return self

    @model_validator(mode="after")
    def _topics_of_their_own(self) -> Config:
        for name in self.sensors:
            if name in self.pipelines:
                message = f"pipelines.{name} and sensors.{name} have the same topic: rename one of them"
                raise wrong(message, "sensors", name, "[key]")
        return self
