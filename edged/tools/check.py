"""``edged check``: builds everything that can be built without touching a device, and lists all problems.

Every problem points at the line and column of its key. Only regular files are opened, so the check runs on
any machine, also without a camera or an accelerator.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edged import sensors, sinks, sources, tasks
from edged.config import error_messages, loader
from edged.config.secrets import read_secret, secret_files
from edged.errors import ConfigError, DriverError, ModelError, Problem
from edged.homeassistant.units import wrong
from edged.ipc.worker_messages import MOST_FEATURES
from edged.models import bundled, image_classifier, loaded_model, normalization
from edged.models import labels as label_files
from edged.models.spec import PictureInput, Spec
from edged.models.taught import embedder, head_file
from edged.models.taught.store import HEAD
from edged.models.tflite import file as tflite_file
from edged.sources import mask
from edged.system import sandbox
from edged.system.child import serve
from edged.system.needs import EVERY_FILE
from edged.tools import labels as vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edged.config.root import Config, PipelineSection
    from edged.models.label_text import LabelList
    from edged.models.tflite.file import ModelFile
    from edged.sensors import SensorConfig
    from edged.sinks import KeyProblem
    from edged.system.child import Tell

Step = str | int
_SHOWN = 5  # labels that a suggestion lists


def respond(data: bytes, tell: Tell) -> None:
    """Check a file in a child process; each problem is an answer (see :mod:`edged.system.child`).

    It may read every file, since only the configuration names them, and do nothing else: an attacker may have
    made the models.
    """
    sandbox.confine(EVERY_FILE)
    for problem in check(Path(os.fsdecode(data))):
        tell(problem.to_data())


@dataclass(frozen=True)
class Findings:
    """The results of an examination, in file order.

    Attributes:
        problems: what keeps the configuration from working.
        warnings: what works, but perhaps not as it was meant.
        config: what is right in the configuration; None where nothing is.
    """

    problems: list[Problem]
    warnings: list[Problem]
    config: Config | None = None


def check(path: Path | str) -> list[Problem]:
    """Return all problems of a configuration file, in file order; empty if it is valid."""
    return examine(path).problems


def examine(path: Path | str) -> Findings:
    """Return all problems and warnings of a configuration file; ``-`` is standard input."""
    loaded, problems = loader.examine(path)
    return Findings(problems, []) if loaded is None else _Check(loaded, problems).findings()


class _Check:
    """The check of one configuration, or of what is right in it.

    Args:
        loaded: the configuration.
        problems: those that are known already.
    """

    def __init__(self, loaded: loader.Loaded, problems: list[Problem]) -> None:
        self._loaded = loaded
        self._config: Config = loaded.config
        self._problems = list(problems)
        self._warnings: list[Problem] = []
        self._known_labels: dict[str, frozenset[str]] = {}  # by pipeline, as far as they could be read

    def findings(self) -> Findings:
        """Check everything and return what was found."""
        self._state_dir()
        self._sinks()
        self._devices()
        for name, pipeline in self._config.pipelines.items():
            whole = self._is_whole(*_source_of(name, pipeline))
            if whole:
                self._source(name, pipeline)
            if (whole or pipeline.source.gives == "picture") and all(
                self._is_whole("pipelines", name, key) for key in ("model", "task")
            ):
                self._model(name, pipeline)
                if self._is_whole("pipelines", name, "then"):
                    self._closer(name, pipeline)
        self._sensors()
        self._shown_labels()
        problems, warnings = loader.in_order(self._problems), loader.in_order(self._warnings)
        return Findings(problems, warnings, self._config)

    def _is_whole(self, *steps: Step) -> bool:
        """Return whether a block is as it was written: no value had to be taken out."""
        return self._loaded.is_whole(*steps)

    def _report(self, steps: Sequence[Step], what: str, hint: str = "") -> None:
        self._problems.append(self._problem(steps, what, hint))

    def _warn(self, steps: Sequence[Step], what: str) -> None:
        problem = self._problem(steps, what)
        if problem not in self._warnings:
            self._warnings.append(problem)

    def _problem(self, steps: Sequence[Step], what: str, hint: str = "") -> Problem:
        steps = self._as_written(steps)
        parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps if step != "[key]")
        path = "".join(parts).removeprefix(".")
        return Problem(self._loaded.where(steps), f"{path}: {what}", hint)

    def _as_written(self, steps: Sequence[Step]) -> Sequence[Step]:
        """Return the path of ``name`` for a key that an installed model brings."""
        *block, key = steps
        if block[-1:] == ["model"] and key in {"file", "labels"} and self._loaded.written(steps) is None:
            named = (*block, "name")
            return named if self._loaded.written(named) is not None else steps
        return steps

    def _state_dir(self) -> None:
        """Check that it is a folder or can be created."""
        folder = Path(os.path.abspath(self._config.state_dir))  # noqa: PTH100 - links stay as they are
        existing = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
        if existing is not None and not _is_folder(existing):
            consequence = "" if existing == folder else f", so {folder} cannot be created"
            self._report(("state_dir",), f"{existing} is not a folder{consequence}", "name a folder")

    def _secret(self, steps: Sequence[Step], file: Path) -> None:
        try:
            read_secret(file)
        except ConfigError as error:
            for problem in error.problems:
                self._report(steps, f"{problem.where}: {problem.what}", problem.hint)

    def _sinks(self) -> None:
        mqtt, jsonl = self._config.mqtt, self._config.jsonl
        if mqtt is not None and mqtt.password_file is not None:
            self._secret(("mqtt", "password_file"), mqtt.password_file)
        if mqtt is not None and mqtt.tls is not None:
            from edged.sinks.mqtt.settings import load_tls

            self._key_problems(("mqtt", "tls"), load_tls(mqtt.tls)[1])
        if jsonl is not None:
            self._key_problems(("jsonl",), jsonl.problems())
        for name, section in self._config.sinks.items():
            self._key_problems(("sinks", name), section.problems())
            try:
                sinks.create(section)
            except DriverError as error:
                self._report(("sinks", name, "kind"), str(error))

    def _key_problems(self, steps: tuple[Step, ...], problems: Iterable[KeyProblem]) -> None:
        for problem in problems:
            self._report((*steps, problem.key), problem.what, problem.hint)

    def _devices(self) -> None:
        """Report two enabled pipelines that use the same camera, and do not share it."""
        taken: dict[tuple[str, str], str] = {}
        for name, pipeline in self._config.pipelines.items():
            source = pipeline.source
            whole = self._is_whole(*_source_of(name, pipeline))
            for key, device in source.holds.items() if pipeline.enabled and whole else ():
                other = taken.setdefault((source.kind, _resolved(device)), name)
                camera = self._config.pipelines[other].camera
                if other != name and (camera is None or camera != pipeline.camera):
                    what = f"pipelines {other} and {name} both use {source.kind} {key} {device}"
                    hint = "only one pipeline can use it"
                    if source.gives == "picture":
                        hint = _how_to_share(f"{source.kind}, {key}: {device}", camera or pipeline.camera)
                    self._report((*_source_of(name, pipeline), key), what, hint)

        used = {pipeline.camera for pipeline in self._config.pipelines.values()}
        for name in self._config.cameras.keys() - used if self._is_whole("pipelines") else ():
            self._warn(("cameras", name), f"no pipeline uses it: write camera: {name} in one")

    def _shown_labels(self) -> None:
        """Check that some pipeline has each label that Home Assistant is to show."""
        if self._known_labels.keys() != self._config.pipelines.keys():
            return
        known = sorted(frozenset().union(*self._known_labels.values()))
        for number, label in enumerate(self._config.homeassistant.labels):
            if label not in known:
                steps = ("homeassistant", "labels", number)
                self._report(steps, f"no pipeline has a label '{label}'", _suggestion(label, known))

    def _source(self, name: str, pipeline: PipelineSection) -> None:
        kind = pipeline.source.kind
        try:
            sources.load(kind).create(pipeline.source, sources.Hint())
        except Exception as error:  # noqa: BLE001 - a third-party driver may raise anything
            what = f"{kind} cannot be built: {str(error) or type(error).__name__}"
            self._report((*_source_of(name, pipeline), "kind"), what)
        self._crop(name, pipeline)
        for key, file in secret_files(pipeline.source).items():
            self._secret((*_source_of(name, pipeline), key), file)
        if pipeline.teach is not None and pipeline.teach.secret_file is not None:
            self._secret(("pipelines", name, "teach", "secret_file"), pipeline.teach.secret_file)

    def _crop(self, name: str, pipeline: PipelineSection) -> None:
        """Warn where a crop is not in a picture of the size that is configured."""
        source, size = pipeline.source, mask.size_of(pipeline.source)
        if not isinstance(source, sources.SourceConfig) or source.crop is None or size is None:
            return
        width, height = size[::-1] if source.rotate in ("90", "270") else size
        x, y, w, h = source.crop
        if min(x, y) < 0 or x + w > width or y + h > height:
            where = ("pipelines", name) if pipeline.crop is not None else _source_of(name, pipeline)
            what = f"it extends beyond a picture of {width}x{height} pixels, which is what size asks for"
            self._warn((*where, "crop"), what)

    def _sensors(self) -> None:
        """Build each sensor, and report two that use the same device."""
        taken: dict[str, str] = {}
        shared: dict[str, tuple[str, str]] = {}
        for name, config in self._config.sensors.items():
            if not self._is_whole("sensors", name):
                continue
            try:
                sensors.load(config.kind).create(config)
            except Exception as error:  # noqa: BLE001 - a third-party driver may raise anything
                what = f"{config.kind} cannot be built: {str(error) or type(error).__name__}"
                self._report(("sensors", name, "kind"), what)
                continue
            self._entities(name, config)
            for device in config.holds:
                resolved = _resolved(device)
                other = taken.setdefault(resolved, shared[resolved][0] if resolved in shared else name)
                if other != name:
                    what = f"sensors {other} and {name} both use {device}"
                    self._report(("sensors", name), what, "only one sensor can use it")
            self._shared(name, config, taken, shared)

    def _shared(
        self, name: str, config: SensorConfig, taken: dict[str, str], shared: dict[str, tuple[str, str]]
    ) -> None:
        """Report a device that another sensor opens differently, or has for itself."""
        for device, how in config.shares.items():
            resolved = _resolved(device)
            if resolved in taken:
                what = f"sensors {taken[resolved]} and {name} both use {device}"
                self._report(("sensors", name), what, "only one sensor can use it")
            other, before = shared.setdefault(resolved, (name, how))
            if before != how:
                what = f"sensors {other} and {name} open {device} differently: {before}; {how}"
                self._report(("sensors", name), what, "sensors share a port only with the same settings")

    def _entities(self, name: str, config: SensorConfig) -> None:
        """Check that Home Assistant accepts the device classes and units."""
        for channel in config.gives():
            quantity = config.quantity(channel)
            what, hint = wrong(quantity.device_class, quantity.unit, binary=quantity.binary)
            if what and self._config.mqtt is not None and self._config.homeassistant.discovery:
                own = ("channels", channel) if channel in config.channels else ()
                self._report(("sensors", name, *own, "device_class"), what, hint)

    def _model(self, name: str, pipeline: PipelineSection) -> None:
        """Check models and labels with the task, and the labels that the decision names."""
        named = pipeline.model
        if named.taught is not None:
            self._taught(name, pipeline, named.taught)
            return
        labels = bundled.LABELS if pipeline.bundled else named.labels
        usable, from_file = self._label_file(name, labels)
        known: Sequence[str] = from_file.names if from_file is not None else ()
        owner = "the model"
        for key, file, sha256 in _models(pipeline):
            try:
                model = None
                if file is not None:
                    model = tflite_file.read(file, sha256, edgetpu=key == "edgetpu_file")
                    model = model.with_output(pipeline.model.output)
                spec = _inspect(pipeline, model)
                if why := pipeline.task.unfit(spec):
                    self._report(("pipelines", name, "task", "kind"), f"{file}: {why}")
                if spec.labels:
                    known, owner = spec.labels, "this task"
                if model is not None and (pipeline.model.normalization or not pipeline.bundled):
                    self._input_values((name, key), pipeline, model, spec)
                if not spec.labels and model is not None and usable:
                    known = loaded_model.labels_of(model, spec, from_file, str(labels or file))
                    self._odd_labels(("pipelines", name, "model", "labels" if labels else key), known)
            except ModelError as error:
                at = "labels" if labels and str(error).startswith(f"{labels}:") else key
                hint = self._elsewhere((name, key), file) if file is not None else ""
                self._report(("pipelines", name, "model", at), str(error), hint)
        if known:
            self._labels(name, pipeline, known, owner)

    def _closer(self, name: str, pipeline: PipelineSection) -> None:
        """Check the model that looks closer at what a pipeline finds, and which objects it is for."""
        if pipeline.closer is None or pipeline.then is None:
            return
        steps = ("pipelines", name, "then")
        try:
            found = vocabulary.of_pipeline(pipeline.closer)
        except ModelError as error:
            self._report((*steps, "model"), str(error))
        else:
            self._odd_labels((*steps, "model"), found if not pipeline.closer.bundled else ())
        known = self._known_labels.get(name)
        for number, label in enumerate(pipeline.then.labels if known is not None else ()):
            if label not in (known or ()):
                hint = _suggestion(label, sorted(known or ()))
                self._report((*steps, "labels", number), f"the model has no label '{label}'", hint)

    def _taught(self, name: str, pipeline: PipelineSection, folder: Path) -> None:
        """Check a taught model: its head, what makes its features, and its labels."""
        steps = ("pipelines", name, "model", "taught")
        given = pipeline.source.gives
        try:
            head = head_file.read(folder / HEAD)
            if head.gives != given:
                self._report(
                    steps, f"{folder.name} was taught with {head.gives}s, and the source gives {given}s"
                )
                return
            if pipeline.teach is not None and head.features > MOST_FEATURES:
                what = f"{folder.name} has {head.features} features; lessons over MQTT take {MOST_FEATURES}"
                self._report(("pipelines", name, "teach"), what)
            for key, file, sha256 in _models(pipeline) if given == "picture" else ():
                model = tflite_file.read(
                    file or folder,
                    sha256 if key == "edgetpu_file" else head.embedder,
                    edgetpu=key == "edgetpu_file",
                )
                features = embedder.features(embedder.spec(model))
                if features != head.features:
                    what = (
                        f"{file} gives {features} features, and {folder.name} was taught with {head.features}"
                    )
                    self._report(("pipelines", name, "model", key), what)
        except ModelError as error:
            missing = not os.path.lexists(folder / HEAD)
            examples = "--text FILE" if given == "text" else "--images DIR"
            hint = f"edged teach {folder.name} --label LABEL {examples}" if missing else ""
            self._report(steps, str(error), hint)
        else:
            if why := pipeline.task.unfit(Spec(classes=len(head.named), last_step="softmax")):
                self._report(("pipelines", name, "task", "kind"), why)
            self._labels(name, pipeline, head.named, "the model")

    def _input_values(
        self, named: tuple[str, str], pipeline: PipelineSection, model: ModelFile, spec: Spec
    ) -> None:
        """Warn where the values that the model wants are assumed, or where those given have no effect."""
        name, key = named
        given = pipeline.model.normalization
        if isinstance(spec.input, PictureInput):
            values = normalization.of_input(spec.input, given, pipeline.model.order)
            if remark := normalization.remark(model.path.name, values, given):
                self._warn(("pipelines", name, "model", "normalize" if given else key), remark)

    def _odd_labels(self, steps: Sequence[Step], labels: Sequence[str]) -> None:
        for warning in label_files.warnings(labels):
            self._warn(steps, warning)

    def _label_file(self, name: str, file: Path | None) -> tuple[bool, LabelList | None]:
        """Return whether the labels can be used, and those in a file; None without a file."""
        if file is None:
            return True, None
        try:
            return True, label_files.load(file)
        except ModelError as error:
            self._report(
                ("pipelines", name, "model", "labels"), str(error), self._elsewhere((name, "labels"), file)
            )
            return False, None

    def _elsewhere(self, named: tuple[str, str], file: Path) -> str:
        """Return a hint for a missing file: the second place searched, or the command that creates it."""
        name, key = named
        if key == "edgetpu_file" and not os.path.lexists(file):
            return image_classifier.compile_hint(self._config.pipelines[name].model.file)
        if os.path.lexists(file):
            return ""
        steps = ("pipelines", name, "model")
        if installed := self._loaded.written((*steps, "name")):
            return f"edged models add {installed}"
        written = self._loaded.written((*steps, key))
        if written is None or written.startswith("/"):
            return ""
        return f"also searched: {self._config.state_dir / 'models' / written}"

    def _labels(self, name: str, pipeline: PipelineSection, known: Sequence[str], owner: str) -> None:
        """Check that the labels that the decision names exist."""
        steps = ("pipelines", name, "decision")
        places: list[tuple[tuple[Step, ...], str]] = [
            ((*steps, "labels", label, "[key]"), label) for label in pipeline.decision.labels
        ]
        places += [((*steps, "ignore", i), label) for i, label in enumerate(pipeline.decision.ignore)]
        places += [(("pipelines", name, "task", "labels", i), x) for i, x in enumerate(pipeline.task.watched)]
        self._known_labels[name] = frozenset(known)
        for place, label in places:
            if label not in known:
                self._report(place, f"{owner} has no label '{label}'", _suggestion(label, known))


def _suggestion(label: str, known: Sequence[str]) -> str:
    """Return a suggestion: the label with its synonyms, those that hold the word, or a similar one."""
    synonyms = (name for name in known if label in map(str.strip, name.split(",")))
    if name := next(synonyms, ""):
        return f"write '{name}'"
    word = re.compile(rf"\b{re.escape(label)}s?\b", re.IGNORECASE)
    holding = [name for name in known if word.search(name)]
    if not holding:
        return error_messages.closest(label, known)
    more = f" and {len(holding) - _SHOWN} more; `edged labels` lists them" if len(holding) > _SHOWN else ""
    return f"labels with that word: {', '.join(holding[:_SHOWN])}{more}"


def _models(pipeline: PipelineSection) -> list[tuple[str, Path | None, str | None]]:
    """Return the keys of the models, with file and checksum; file is None where the task has no model."""
    named = pipeline.model
    models = [
        ("taught", pipeline.model_file(), None) if named.taught else ("file", named.file, named.sha256),
        ("edgetpu_file", named.edgetpu_file, named.edgetpu_sha256),
    ]
    return [m for m in models if m[1] is not None] or [("file", pipeline.model_file(), None)]


def _inspect(pipeline: PipelineSection, model: ModelFile | None) -> Spec:
    """Return the task's description of a model. Raises ``ModelError`` where it does not fit."""
    kind = pipeline.task.kind
    try:
        found: Spec = tasks.load(kind).inspect(model, pipeline.source.sample)
    except ModelError:
        raise
    except Exception as error:  # a third-party task may raise anything
        raise ModelError(f"task {kind} failed: {type(error).__name__}: {error}") from error
    return found


def _resolved(device: str) -> str:
    """Return the path that links to a device lead to; a device without a path as it is."""
    return os.path.realpath(device) if device.startswith("/") else device


def _source_of(name: str, pipeline: PipelineSection) -> tuple[Step, ...]:
    """Return the path of the block that a pipeline's source is written in."""
    return ("pipelines", name, "source") if pipeline.camera is None else ("cameras", pipeline.camera)


def _how_to_share(device: str, camera: str | None) -> str:
    """Return what to write where two pipelines use a device; the camera that has it, if there is one."""
    where = "in the place of source"
    if camera is not None:
        return f"to share it, write camera: {camera} in both, {where}"
    top = f"cameras: {{shared: {{kind: {device}}}}}"
    return f"to share it, write {top} at the top of the file and camera: shared in both, {where}"


def _is_folder(path: Path) -> bool:
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises where a name is too long


if __name__ == "__main__":
    serve(respond)
