"""The configuration of a pipeline: source → model → task → decision.

The descriptions are the single source for ``edged schema``, the commented sample and the error messages.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edged.config.accelerator import Accelerator
from edged.config.gating import GateSection, TriggerSection
from edged.config.model import ModelSection
from edged.config.motion import MotionSection
from edged.config.source import AnySource
from edged.config.task import AnyTask, default_task
from edged.config.teaching import TeachSection
from edged.config.then import ThenSection
from edged.config.values import (
    Label,
    Probability,
    Seconds,
    TopicName,
)
from edged.drivers import Section, wrong
from edged.events import MAX_READINGS, MOST_WITH_CLOSER
from edged.models import bundled
from edged.models.taught.store import EMBEDDER, HEAD
from edged.pipeline.decision import Rules
from edged.sources import ChannelPath, Crop, Interval, Rotation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


THRESHOLD = 0.5  # the default enter threshold
EXIT_RATIO = 0.7  # the default exit threshold, as a part of the enter threshold


class LabelRule(Section):
    """Thresholds of one label."""

    threshold: Probability | None = Field(
        examples=[0.4], default=None, description="enter at this score, 0..1"
    )
    exit_threshold: Probability | None = Field(default=None, description="leave below this score, 0..1")


class DecisionSection(Section):
    """The conditions under which findings change the decision."""

    threshold: Probability | None = Field(
        examples=[0.5],
        default=None,
        description="enter at this score, 0..1; default 0.5, with the bundled model 0.25",
    )
    exit_threshold: Probability | None = Field(
        examples=[0.35], default=None, description="leave below this score, 0..1; default 0.7 of threshold"
    )
    votes: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="findings that must agree …")
    window: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="… of the last this many")
    min_dwell_s: Seconds = Field(default=0, description="keep a decision for at least this many seconds")
    cooldown_s: Seconds = Field(
        default=0, description="minimum time between a label's end and its next start, in s"
    )
    labels: dict[Label, LabelRule] = Field(
        examples=[{"Egyptian cat": {"threshold": 0.4}}],
        default_factory=dict,
        description="thresholds by label",
    )
    ignore: tuple[Label, ...] = Field(
        examples=[["ruffed grouse"]], default=(), description="labels that never decide"
    )

    @model_validator(mode="after")
    def _consistent(self) -> DecisionSection:
        if self.votes > self.window:
            raise wrong(f"{self.votes} votes cannot come from a window of {self.window}", "votes")
        return self

    def thresholds(self, default: float, label: str | None = None) -> tuple[float, float]:
        """Return (enter, exit) for a label, or for those without a rule.

        A rule with its own threshold also has its own exit threshold, by default 0.7 of it.

        Args:
            default: the enter threshold where none is configured.
            label: the label; None: the labels without a rule.
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
    """Messages in addition to changes of the decision."""

    heartbeat_s: Seconds = Field(default=0, description="repeat the decision every N seconds (0: never)")
    result: bool = Field(default=False, description="publish each inference on …/result, QoS 0")
    boxes: bool = Field(default=False, description="events of task detect hold the places of the objects")


class Deadlines(Section):
    """The maximum time in each stage before the worker is replaced."""

    open_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=8, description="time to open the source, in s; with kind picamera2, 20 where nothing is set"
    )
    capture_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=5, description="time to get one picture, in s"
    )
    invoke_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=5, description="time for one run of the model, in s"
    )
    accelerator_s: Annotated[float, Field(ge=0.2, le=3600, allow_inf_nan=False)] = Field(
        default=30,
        description="time to open the accelerator, in s; an Edge TPU without firmware takes several seconds",
    )


def _source_or_camera(described: dict[str, Any]) -> None:
    """Let the JSON schema require one of both."""
    del described["properties"]["source"]["default"]
    described["oneOf"] = [{"required": ["source"]}, {"required": ["camera"]}]


class PipelineSection(Section):
    """source → model → task → decision."""

    model_config = ConfigDict(json_schema_extra=_source_or_camera)

    source: AnySource = Field(
        default=None,
        validate_default=True,
        description="the source of pictures, of sound, or of sensor readings over time; or name a camera",
    )
    camera: TopicName | None = Field(
        examples=["yard"],
        default=None,
        description="instead of source: one of cameras, which several pipelines may share",
    )
    interval_s: Interval | None = Field(
        examples=[1],
        default=None,
        description="with camera: time between two classifications, in s; default: the camera's",
    )
    rotate: Rotation | None = Field(
        examples=["90"], default=None, description="with camera: as in source; default: the camera's"
    )
    crop: Crop | None = Field(
        examples=[[200, 0, 480, 480]],
        default=None,
        description="with camera: as in source; default: the camera's",
    )
    enabled: bool | Literal["last"] = Field(
        default="last",
        description="whether it runs at start; last: as MQTT switched it last, and on if it never did",
    )
    model: ModelSection = Field(
        default_factory=ModelSection,
        description="default: the bundled classifier; for task anomaly, the distance from usual windows",
    )
    accelerator: Accelerator = Field(default_factory=Accelerator, description="default: the CPU")
    task: AnyTask = Field(default_factory=default_task, description="default: classify")
    decision: DecisionSection = Field(
        default_factory=DecisionSection, description="when findings change the decision"
    )
    teach: TeachSection | None = Field(
        examples=[{"allow": "local"}],
        default=None,
        description="let cmd/teach label the last picture for the taught model; default: it teaches nothing",
    )
    then: ThenSection | None = Field(
        examples=[{"labels": ["bird"]}],
        default=None,
        description="with task detect: classify what was found, on the part of the picture that it is in; "
        "events hold both",
    )
    gate: GateSection | None = Field(default=None, description="classify only while it is open")
    trigger: TriggerSection | None = Field(
        default=None, description="classify only when it fires; default: classify continuously"
    )
    motion: MotionSection | None = Field(
        examples=[{"area": 0.01, "hold_s": 5}],
        default=None,
        description="classify only while something moves in the part of the picture that the model sees; the "
        "decision stays as it is meanwhile",
    )
    attach: Annotated[tuple[ChannelPath, ...], Field(max_length=MAX_READINGS)] = Field(
        examples=[["board/temperature"]],
        default=(),
        description="sensors (or sensor/channel) whose readings each event holds, even if not published",
    )
    publish: Publish = Field(default_factory=Publish, description="messages in addition to changes")
    deadlines: Deadlines = Field(
        default_factory=Deadlines, description="maximum times; beyond them a worker is hung"
    )
    memory_mb: Annotated[float, Field(ge=64, le=1e6, allow_inf_nan=False)] = Field(
        default=768, description="replace the worker when it uses more memory than this, in MB"
    )

    def asked_for(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield the sensor channels in its conditions, attachments and source, each with its key path."""
        for key, section in (("gate", self.gate), ("trigger", self.trigger)):
            for number, condition in enumerate(section.conditions if section is not None else ()):
                yield (key, "conditions", number, "sensor"), condition.sensor
        for number, sensor in enumerate(self.attach):
            yield ("attach", number), sensor
        for followed in self.source.follows:
            yield ("source", *followed.steps), followed.channel

    @property
    def looks_at(self) -> tuple[str, ...]:
        """The sensor channels in its conditions, attachments and source."""
        return tuple(sensor for _, sensor in self.asked_for())

    @property
    def follows(self) -> tuple[str, ...]:
        """The sensor channels that feed its source."""
        return tuple(followed.channel for followed in self.source.follows)

    @property
    def bundled(self) -> bool:
        """Return whether it runs the bundled classifier."""
        model = self.model
        named = any((model.file, model.edgetpu_file, model.taught, model.installed))
        return self.source.gives == "picture" and not named

    def model_file(self, *, accelerated: bool = False) -> Path | None:
        """Return the file that it runs on the CPU or the accelerator; None where it needs no model."""
        compiled = accelerated and self.accelerator.kind == "edgetpu"
        file = self.model.edgetpu_file if compiled else self.model.file
        if file is None and self.model.taught is not None:
            return self.model.taught / EMBEDDER if self.source.gives == "picture" else None
        return bundled.MODEL if file is None and self.source.gives == "picture" else file

    @property
    def closer(self) -> PipelineSection | None:
        """Return the pipeline that looks closer at what this one finds; None where none does."""
        if self.then is None:
            return None
        changed = {
            "then": None,
            "model": self.then.model,
            "task": default_task(),
            "accelerator": Accelerator(),
            "decision": DecisionSection(threshold=self.then.threshold),
            "publish": Publish(),
        }
        return self.model_copy(update=changed)

    @property
    def labels_file(self) -> Path | None:
        """Return the file that its labels are in: of a taught model the head, which has them."""
        return self.model.labels if self.model.taught is None else self.model.taught / HEAD

    def thresholds(self, label: str | None = None) -> tuple[float, float]:
        """Return the scores (enter, exit) of a label, or of those without a rule; 0..1."""
        return self.decision.thresholds(bundled.THRESHOLD if self.bundled else THRESHOLD, label)

    def rules(self) -> Rules:
        """Return the decision's rules for the state machine."""
        decision = self.decision
        threshold, exit_threshold = self.thresholds()
        return Rules(
            threshold=threshold,
            exit_threshold=exit_threshold,
            votes=decision.votes,
            window=decision.window,
            min_dwell_s=decision.min_dwell_s,
            cooldown_s=decision.cooldown_s,
            labels={label: self.thresholds(label) for label in decision.labels},
            ignore=frozenset(decision.ignore),
            heartbeat_s=self.publish.heartbeat_s,
        )

    @model_validator(mode="after")
    def _keys_of_a_camera(self) -> PipelineSection:
        for key in ("interval_s", "rotate", "crop"):
            if self.camera is None and getattr(self, key) is not None:
                raise wrong(f"without camera, {key} is a key of source: write it there", key)
        return self

    @model_validator(mode="after")
    def _of_what_the_source_gives(self) -> PipelineSection:
        model, gives = self.model, self.source.gives
        if gives != "picture":
            what = "models of text" if gives == "text" else "models over time"
            if self.accelerator.policy != "cpu":
                raise wrong(f"{what} run on the CPU: write cpu", "accelerator", "policy")
            if model.edgetpu_file is not None:
                raise wrong(f"{what} run on the CPU: write file alone", "model", "edgetpu_file")
            if model.normalize is not None:
                instead = ": write mean and std under source" if hasattr(self.source, "mean") else ""
                raise wrong(f"normalize is for pictures{instead}", "model", "normalize")
        self._check_measures()
        if self.teach is not None and (model.taught is None or gives != "picture"):
            raise wrong("teach is for a taught model of pictures: write model: {taught: NAME}", "teach")
        if model.taught is not None and not self.task.takes_taught:
            raise wrong(f"task {self.task.kind} does not run a taught model", "task", "kind")
        if self.publish.boxes and not self.task.counts:
            raise wrong(f"task {self.task.kind} finds no boxes: that is for task detect", "publish", "boxes")
        if self.then is not None and not self.task.counts:
            raise wrong(f"task {self.task.kind} finds no objects: that is for task detect", "then")
        if self.then is not None and self.task.top_k > MOST_WITH_CLOSER:
            raise wrong(f"with then, at most {MOST_WITH_CLOSER}", "task", "top_k")
        named = any(key is not None for key in (model.file, model.name, model.taught))
        self.task.check(gives, model=gives == "picture" or named)
        return self

    def _check_measures(self) -> None:
        """Refuse what is for sound with other sources, and more readings than an event can hold."""
        measures = self.source.measures
        if self.gate is not None and self.gate.above_dbfs is not None and not measures:
            raise wrong("above_dbfs is for sources of sound: microphone, sound", "gate", "above_dbfs")
        for number, name in enumerate(self.attach):
            if name in measures:
                raise wrong(f"{name} goes with each event of this source anyway", "attach", number)
        if len(self.attach) + len(measures) > MAX_READINGS:
            raise wrong(f"at most {MAX_READINGS - len(measures)} beside {', '.join(measures)}", "attach")

    @model_validator(mode="after")
    def _what_moves(self) -> PipelineSection:
        if self.motion is not None and self.source.gives != "picture":
            raise wrong(f"motion is for pictures, and {self.source.kind} gives none", "motion")
        return self

    @model_validator(mode="after")
    def _hysteresis(self) -> PipelineSection:
        for label in (None, *self.decision.labels):
            enter, leave = self.thresholds(label)
            if leave > enter:
                steps = () if label is None else ("labels", label)
                message = f"exit_threshold ({leave:g}) is above threshold ({enter:g})"
                raise wrong(message, "decision", *steps, "exit_threshold")
        return self

    @field_validator("accelerator")
    @classmethod
    def _edge_tpu(cls, accelerator: Accelerator, info: ValidationInfo) -> Accelerator:
        """Take any library for the Edge TPU's where there is a model for it, as 0.1.0 did."""
        model: Any = info.data.get("model")
        compiled = model is not None and model.edgetpu_file is not None
        if compiled and accelerator.kind == "external" and not accelerator.options:
            return accelerator.model_copy(update={"device": "usb"})
        return accelerator

    @model_validator(mode="after")
    def _twins(self) -> PipelineSection:
        policy = self.accelerator.policy
        if self.accelerator.kind == "external" and self.model.edgetpu_file is not None:
            message = "edgetpu_file is for an Edge TPU, and this library runs file: write device, or omit it"
            raise wrong(message, "model", "edgetpu_file")
        if self.accelerator.kind == "edgetpu" and self.model.edgetpu_file is None:
            file = self.model.file or "MODEL.tflite"
            message = (
                f"{policy} needs model.edgetpu_file, the model compiled for the Edge TPU: "
                f"edgetpu_compiler {file}"
            )
            raise wrong(message, "accelerator", "policy")
        model = self.model
        no_twin = model.file is None and model.name is None and model.taught is None
        if policy != "require" and self.model.edgetpu_file is not None and no_twin:
            raise wrong(f"accelerator.policy {policy} also needs file, the model for the CPU", "model")
        return self
