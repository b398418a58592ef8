"""The configuration's models: every key with its range, default and one sentence that is its reference.

The descriptions are the single text behind ``edged schema``, the commented sample and the error messages.
Scalars arrive as the text that stands in the file (see ``loader``), so ``12:30:00`` or ``no`` is read by the
type declared here and by nothing else.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from edged.config.secrets import SecretFile
from edged.config.source import AnySource

RESERVED = frozenset({"status", "health", "cmd"})  # levels of the topic beside the pipelines' names
NAME = r"^[a-z0-9-]{1,32}$"
TOPIC = r"^[^#+\x00/\s$][^#+\x00/\s]*(/[^#+\x00/\s]+)*$"
SHA256 = r"^[0-9a-fA-F]{64}$"
NO_SPACES = r"^\S+$"
DEVICE = r"^((usb|pci)(:[0-9]{1,2})?|:[0-9]{1,2})$"
FORMS: dict[str, str] = {
    NAME: "1 to 32 characters of a-z, 0-9 and -",
    TOPIC: "an MQTT topic without spaces, #, + and outer /",
    SHA256: "64 characters of 0-9 and a-f, as sha256sum prints them",
    NO_SPACES: "text without spaces",
    DEVICE: "usb, pci, or one of several such as usb:0",
}
"""The patterns of this file in words, for messages."""


def _wrong(key: str, message: str) -> PydanticCustomError:
    """Return the error of a block that points at one of its keys."""
    return PydanticCustomError("consistency", "{message}", {"key": key, "message": message})


def _free(name: str) -> str:
    if name in RESERVED:
        raise ValueError(f"'{name}' is a topic of edged itself; take another name")
    return name


Name = Annotated[str, StringConstraints(pattern=NAME)]
PipelineName = Annotated[str, StringConstraints(pattern=NAME), AfterValidator(_free)]
TopicLevels = Annotated[str, StringConstraints(pattern=TOPIC, max_length=64)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, le=86400 * 366, allow_inf_nan=False)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256, to_lower=True)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=128)]
THRESHOLD = 0.5  # enter, where none is written
BUNDLED_THRESHOLD = 0.25  # the same for the bundled model, whose scores over 1,000 labels are modest
EXIT_RATIO = 0.7  # exit threshold to enter threshold, where none is written


class Section(BaseModel):
    """A block of the file. Unknown keys are errors; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)


class Tls(Section):
    """TLS to the broker. Verification of the broker's certificate and name is always on."""

    ca_file: Path | None = Field(default=None, description="CA certificates (PEM); left out: the system's")
    cert_file: Path | None = Field(default=None, description="this node's certificate (PEM), with key_file")
    key_file: Path | None = Field(
        default=None, description="this node's private key (PEM), without passphrase"
    )

    @model_validator(mode="after")
    def _pair(self) -> Tls:
        if (self.cert_file is None) != (self.key_file is None):
            key = "cert_file" if self.key_file is None else "key_file"
            raise _wrong(key, "cert_file and key_file belong together: write both or neither")
        return self


class Mqtt(Section):
    """The broker."""

    host: Annotated[str, StringConstraints(min_length=1, max_length=253, pattern=NO_SPACES)] = Field(
        description="name or address of the broker"
    )
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        default=None, description="default 1883, with tls 8883"
    )
    prefix: TopicLevels = Field(default="edged", description="first part of every topic")
    protocol: Literal["5", "3.1.1"] = Field(default="5", description='5 or "3.1.1"')
    username: Annotated[str, StringConstraints(min_length=1, max_length=1024)] | None = Field(
        default=None, description="name to log in with; its password stands in password_file"
    )
    password_file: SecretFile | None = Field(
        default=None,
        description="file with the password; looked for in $CREDENTIALS_DIRECTORY, then beside this file",
    )
    tls: Tls | None = Field(default=None, description="encrypt; {} takes the system's CA certificates")
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = Field(default=20, description="MQTT keep-alive, in s")

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
            raise _wrong("password_file", "a password needs a username: write username too")
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
        default=64, description="in MB"
    )
    max_age_h: Annotated[float, Field(gt=0, le=24 * 366, allow_inf_nan=False)] = Field(
        default=168, description="drop events older than this, in h"
    )


class HealthSection(Section):
    """The health topic."""

    interval_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = Field(
        default=30, description="time between two health messages, in s"
    )


class Normalize(Section):
    """Scaling of float inputs: (pixel - mean) / std."""

    mean: Annotated[float, Field(allow_inf_nan=False)] = Field(default=127.5, description="0..255")
    std: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(default=127.5, description="above 0")


class ModelSection(Section):
    """One .tflite file with its labels."""

    file: Path | None = Field(default=None, description="the .tflite file; left out: the bundled classifier")
    labels: Path | None = Field(
        default=None, description="one label a line; left out: the labels packed in the file"
    )
    sha256: Sha256 | None = Field(default=None, description="refuse a file with another checksum")
    edgetpu_file: Path | None = Field(default=None, description="the twin compiled for the Edge TPU")
    edgetpu_sha256: Sha256 | None = Field(default=None, description="refuse a twin with another checksum")
    fit: Literal["stretch", "crop", "letterbox"] = Field(
        default="stretch", description="how the picture is made to fit the model's input"
    )
    normalize: Normalize | None = Field(
        default=None, description="float inputs only; default: the metadata's, else 127.5"
    )
    threads: Annotated[int, Field(ge=1, le=64)] | None = Field(
        default=None, description="default: cores, at most 4"
    )
    runtime: Literal["auto", "litert", "tflite-runtime"] = Field(
        default="auto", description="auto takes LiteRT where it is installed"
    )

    @model_validator(mode="after")
    def _complete(self) -> ModelSection:
        if self.file is None and self.edgetpu_file is None:
            for key in ("labels", "sha256"):
                if getattr(self, key) is not None:
                    raise _wrong(key, f"{key} belongs to a model: write file too")
        if self.edgetpu_file is None and self.edgetpu_sha256 is not None:
            raise _wrong("edgetpu_sha256", "edgetpu_sha256 belongs to edgetpu_file: write that too")
        return self


class Accelerator(Section):
    """Where the model runs."""

    policy: Literal["cpu", "prefer", "require"] = Field(
        default="cpu", description="prefer falls back to the CPU, require does not"
    )
    device: Annotated[str, StringConstraints(pattern=DEVICE)] = Field(
        default="usb", description="usb, pci, usb:0 …"
    )
    library: str = Field(default="libedgetpu.so.1", description="the Edge TPU runtime")


class TaskSection(Section):
    """What the model's output means."""

    kind: Literal["classify"] = Field(default="classify", description="the task")
    top_k: Annotated[int, Field(ge=1, le=10)] = Field(default=3, description="findings to report, best first")


class LabelRule(Section):
    """Thresholds of one label."""

    threshold: Probability | None = Field(default=None, description="enter at this score, 0..1")
    exit_threshold: Probability | None = Field(default=None, description="leave below this score, 0..1")


class DecisionSection(Section):
    """When a finding becomes news."""

    threshold: Probability | None = Field(
        default=None, description="enter at this score, 0..1; default 0.5, with the bundled model 0.25"
    )
    exit_threshold: Probability | None = Field(
        default=None, description="leave below this score, 0..1; default 0.7 of threshold"
    )
    votes: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="findings that must agree …")
    window: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="… of the last so many")
    min_dwell_s: Seconds = Field(default=0, description="keep a decision at least so long, in s")
    cooldown_s: Seconds = Field(
        default=0, description="after an end, do not start the same label for so long, in s"
    )
    labels: dict[Label, LabelRule] = Field(default_factory=dict, description="thresholds by label")
    ignore: tuple[Label, ...] = Field(default=(), description="labels that never decide")

    @model_validator(mode="after")
    def _consistent(self) -> DecisionSection:
        if self.votes > self.window:
            raise _wrong("votes", f"{self.votes} votes cannot come from a window of {self.window} findings")
        return self

    def thresholds(self, default: float, label: str | None = None) -> tuple[float, float]:
        """Return (enter, exit) for a label, or for those without a rule.

        A rule with a threshold of its own brings its own exit threshold, by default 0.7 of it.

        Args:
            default: the enter threshold where none is written.
            label: whose; None for the labels without a rule.
        """
        rule = self.labels.get(label) if label is not None else None
        enter, leave = self.threshold, self.exit_threshold
        if rule is not None and rule.threshold is not None:
            enter, leave = rule.threshold, rule.exit_threshold
        elif rule is not None and rule.exit_threshold is not None:
            leave = rule.exit_threshold
        enter = default if enter is None else enter
        return enter, EXIT_RATIO * enter if leave is None else leave


class Publish(Section):
    """What is sent beside news."""

    heartbeat_s: Seconds = Field(default=0, description="repeat the decision so often, in s; 0: never")
    result: bool = Field(default=False, description="send each inference on …/result, QoS 0")


class Deadlines(Section):
    """How long a worker may stay in one stage before it is replaced."""

    open_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=8, description="in s"
    )
    capture_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=5, description="in s"
    )
    invoke_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=5, description="in s"
    )


class PipelineSection(Section):
    """source → model → task → decision."""

    source: AnySource = Field(description="where the frames come from")
    enabled: bool = Field(default=True, description="run from the start; MQTT can switch it")
    model: ModelSection = Field(default_factory=ModelSection, description="left out: the bundled classifier")
    accelerator: Accelerator = Field(default_factory=Accelerator, description="left out: the CPU")
    task: TaskSection = Field(default_factory=TaskSection, description="left out: classify")
    decision: DecisionSection = Field(
        default_factory=DecisionSection, description="when a finding becomes news"
    )
    publish: Publish = Field(default_factory=Publish, description="what is sent beside news")
    deadlines: Deadlines = Field(default_factory=Deadlines, description="how long a stage may take")

    @property
    def bundled(self) -> bool:
        """Whether it runs the classifier that comes with edged."""
        return self.model.file is None and self.model.edgetpu_file is None

    def thresholds(self, label: str | None = None) -> tuple[float, float]:
        """Return the scores (enter, exit) of a label, or of those without a rule; 0..1."""
        return self.decision.thresholds(BUNDLED_THRESHOLD if self.bundled else THRESHOLD, label)

    @model_validator(mode="after")
    def _hysteresis(self) -> PipelineSection:
        for label in (None, *self.decision.labels):
            enter, leave = self.thresholds(label)
            if leave > enter:
                whose = "" if label is None else f" of '{label}'"
                raise _wrong("decision", f"exit_threshold{whose} ({leave:g}) is above threshold ({enter:g})")
        return self

    @model_validator(mode="after")
    def _twins(self) -> PipelineSection:
        policy = self.accelerator.policy
        if policy != "cpu" and self.model.edgetpu_file is None:
            raise _wrong(
                "accelerator", f"policy {policy} needs model.edgetpu_file, the twin for the Edge TPU"
            )
        if policy != "require" and self.model.edgetpu_file is not None and self.model.file is None:
            raise _wrong("model", f"policy {policy} also needs file, the model for the CPU")
        return self


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
        default=None, description="left out: events go to standard output as JSON lines"
    )
    homeassistant: HomeAssistant = Field(default_factory=HomeAssistant, description="device discovery")
    jsonl: Jsonl | None = Field(default=None, description="a second sink beside mqtt")
    spool: SpoolSection = Field(
        default_factory=SpoolSection, description="the queue of events that the broker has not acknowledged"
    )
    health: HealthSection = Field(default_factory=HealthSection, description="the health topic")
    isolation: Literal["required", "optional"] = Field(
        default="required", description="optional: run workers even where they cannot be cut from the network"
    )
    pipelines: Annotated[dict[PipelineName, PipelineSection], Field(min_length=1, max_length=64)] = Field(
        description="by name, which becomes part of the topic"
    )
    sensors: Annotated[dict[Name, Any], Field(max_length=0)] = Field(
        default_factory=dict, description="not in this version"
    )
