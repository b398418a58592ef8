"""The top level of the configuration. Each key has a range, a default and a one-sentence description.

The descriptions are the single source for ``edged schema``, the commented sample and the error messages.
Scalars arrive as the literal text of the file (see ``loader``), so only the type declared here decides how
``12:30:00`` or ``no`` is read.
"""

from __future__ import annotations

import itertools
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from edged.config import cameras
from edged.config.accelerator import Accelerator
from edged.config.catalogues import CatalogueSection
from edged.config.model import ModelSection, Normalize
from edged.config.outputs import AnySink, HealthSection, HomeAssistant, LogSection, Mqtt, SpoolSection, Tls
from edged.config.pipeline import (
    Deadlines,
    DecisionSection,
    LabelRule,
    PipelineSection,
    Publish,
)
from edged.config.sensor import AnySensor
from edged.config.source import AnyCamera
from edged.config.teaching import is_here
from edged.config.values import Name, TopicName
from edged.drivers import Section, wrong
from edged.ipc.readings_page import name_of
from edged.ipc.readings_ring import RINGS
from edged.sinks.drivers.jsonl import Jsonl

__all__ = [
    "Accelerator",
    "Config",
    "Deadlines",
    "DecisionSection",
    "HealthSection",
    "HomeAssistant",
    "Jsonl",
    "LabelRule",
    "LogSection",
    "ModelSection",
    "Mqtt",
    "Normalize",
    "PipelineSection",
    "Publish",
    "Section",
    "SpoolSection",
    "Tls",
    "host_node",
]


def host_node() -> str:
    """Return the host's name as a node name: lower case, ``[a-z0-9-]``, at most 32 characters."""
    name = re.sub(r"[^a-z0-9-]+", "-", socket.gethostname().split(".")[0].lower()).strip("-")[:32]
    return name or "edged"


def state_dir() -> Path:
    """Return the state directory that systemd provides (the first of several), else ``/var/lib/edged``."""
    return Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or "/var/lib/edged")


def run_dir() -> Path:
    """Return the run directory that systemd provides (the first of several), else ``/run/edged``."""
    return Path(os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0] or "/run/edged")


class Config(Section):
    """The whole file."""

    node: Name = Field(
        default_factory=host_node, description="[a-z0-9-], 1 to 32 characters; default: the host name"
    )
    state_dir: Path = Field(
        default_factory=state_dir,
        description="where models and the spool are kept; default $STATE_DIRECTORY, else /var/lib/edged",
    )
    run_dir: Path = Field(
        default_factory=run_dir,
        description="where the status file is kept; default $RUNTIME_DIRECTORY, else /run/edged",
    )
    mqtt: Mqtt | None = Field(
        default=None, description="if omitted, events and readings go to standard output as JSON lines"
    )
    homeassistant: HomeAssistant = Field(default_factory=HomeAssistant, description="device discovery")
    jsonl: Jsonl | None = Field(default=None, description="JSON lines, in addition to mqtt")
    sinks: Annotated[dict[Name, AnySink], Field(max_length=16)] = Field(
        default_factory=dict,
        description="more sinks, by name; each gets a copy of every event, at once or not at all",
    )
    catalogues: Annotated[dict[Name, CatalogueSection], Field(max_length=16)] = Field(
        default_factory=dict,
        description="signed lists of models beside edged's own, by name; edged models update fetches them",
    )
    spool: SpoolSection = Field(
        default_factory=SpoolSection, description="the queue of events that the broker has not acknowledged"
    )
    health: HealthSection = Field(default_factory=HealthSection, description="the health topic")
    log: LogSection = Field(
        default_factory=LogSection, description="the last decisions, for edged log on this machine"
    )
    isolation: Literal["required", "optional"] = Field(
        default="required",
        description="optional: run workers even where they cannot be cut off from the network; a worker "
        "with a network camera always keeps its route",
    )
    sensors: Annotated[dict[TopicName, AnySensor], Field(max_length=256)] = Field(
        default_factory=dict, description="keyed by name, which becomes part of the topic"
    )
    cameras: Annotated[dict[TopicName, AnyCamera], Field(max_length=64)] = Field(
        examples=[{"yard": {"kind": "v4l2", "size": [1280, 720]}}],
        default_factory=dict,
        description="sources of pictures for several pipelines, by name, with the same keys as source; a "
        "pipeline with camera: NAME uses one in the place of source",
    )
    pipelines: Annotated[dict[TopicName, PipelineSection], Field(max_length=64)] = Field(
        default_factory=dict,
        validate_default=True,
        description="keyed by name, which becomes part of the topic",
    )

    @field_validator("cameras")
    @classmethod
    def _may_be_shared(cls, given: dict[str, AnyCamera]) -> dict[str, AnyCamera]:
        cameras.check(given)
        return given

    @field_validator("pipelines", mode="before")
    @classmethod
    def _sources_of_cameras(cls, pipelines: Any, info: ValidationInfo) -> Any:
        if not isinstance(pipelines, dict):
            return pipelines
        return cameras.with_sources(pipelines, info.data.get("cameras"))

    @field_validator("pipelines")
    @classmethod
    def _with_own_keys(cls, pipelines: dict[str, PipelineSection]) -> dict[str, PipelineSection]:
        cameras.check_accelerators(pipelines)
        return cameras.with_own_keys(pipelines)

    @field_validator("pipelines")
    @classmethod
    def _one_name_per_accelerator(cls, pipelines: dict[str, PipelineSection]) -> dict[str, PipelineSection]:
        """Refuse two names for one accelerator: pipelines share it by name, another name opens it twice."""
        for (name, a), (other, b) in itertools.combinations(pipelines.items(), 2):
            mine, theirs = a.accelerator, b.accelerator
            if mine.contradicts(theirs):
                names = " and as ".join(f"{each.port} ({each.library})" for each in (mine, theirs))
                message = (
                    f"pipelines {name} and {other} both use the Edge TPU, as {names}: "
                    "write the same in both to share it"
                )
                raise wrong(message, other, "accelerator")
        return pipelines

    @field_validator("pipelines")
    @classmethod
    def _something_to_do(
        cls, pipelines: dict[str, PipelineSection], info: ValidationInfo
    ) -> dict[str, PipelineSection]:
        if not pipelines and info.data.get("sensors") == {} and "cameras" in info.data:
            raise PydanticCustomError("nothing", "configure at least one pipeline or sensor")
        return pipelines

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The sensor channels that any pipeline uses, without duplicates."""
        return tuple(sorted({name for pipeline in self.pipelines.values() for name in pipeline.looks_at}))

    @property
    def followed(self) -> tuple[str, ...]:
        """The sensor channels whose readings are the input of a pipeline, without duplicates."""
        return tuple(sorted({name for pipeline in self.pipelines.values() for name in pipeline.follows}))

    @model_validator(mode="after")
    def _used_sensors_exist(self) -> Config:
        known = {
            name_of(sensor, channel) for sensor, config in self.sensors.items() for channel in config.gives()
        }
        for name, pipeline in self.pipelines.items():
            for steps, sensor in pipeline.asked_for():
                if sensor not in known:
                    available = ", ".join(sorted(known)) or "none"
                    message = f"there is no sensor '{sensor}'; available: {available}"
                    raise wrong(message, "pipelines", name, *steps)
        return self

    @model_validator(mode="after")
    def _lessons_have_a_broker(self) -> Config:
        hosts = self.mqtt.addresses if self.mqtt is not None else ()
        for name, pipeline in self.pipelines.items():
            teach = pipeline.teach
            if teach is not None and not hosts:
                raise wrong("lessons come over MQTT: write mqtt", "pipelines", name, "teach")
            if teach is not None and teach.allow == "local" and not all(is_here(host) for host, _ in hosts):
                message = "local needs a broker on this machine (mqtt.host: localhost); else write signed"
                raise wrong(message, "pipelines", name, "teach", "allow")
        return self

    @model_validator(mode="after")
    def _sampled_often_enough(self) -> Config:
        if len(self.followed) > RINGS:
            raise wrong(
                f"the pipelines use {len(self.followed)} sensor channels as input; the maximum is {RINGS}",
                "pipelines",
            )
        for name, pipeline in self.pipelines.items():
            for channel, gap_s, steps in pipeline.source.follows:
                every_s = self.sensors[channel.partition("/")[0]].interval_s
                if every_s > gap_s:
                    message = (
                        f"{channel} is read every {every_s:g} s, but readings more than {gap_s:g} s "
                        "apart are not joined into a window (max_gap_s), so no window would ever be complete"
                    )
                    raise wrong(message, "pipelines", name, "source", *steps)
        return self

    @model_validator(mode="after")
    def _distinct_topics(self) -> Config:
        for name in self.sensors:
            if name in self.pipelines:
                message = f"pipelines.{name} and sensors.{name} have the same topic: rename one of them"
                raise wrong(message, "sensors", name, "[key]")
        return self
