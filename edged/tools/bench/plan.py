"""Plans the measurements: models, labels, photographs; refuses what can be refused beforehand."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edged.config.accelerator import Accelerator
from edged.config.model import ModelSection
from edged.errors import DriverError, ModelError, Refused
from edged.events import UNKNOWN
from edged.models import bundled, by_input, image_classifier, loaded_model, normalization, runtimes
from edged.models import labels as label_files
from edged.models.spec import PictureInput, TextInput, WindowInput
from edged.models.taught import head_file
from edged.models.taught.store import EMBEDDER, HEAD
from edged.models.tflite import file as tflite_file
from edged.sources import discovery
from edged.sources.sound_names import is_sound
from edged.tools.bench import photographs
from edged.tools.try_ import choice

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from edged.models.label_text import LabelList
    from edged.models.tflite.file import ModelFile
    from edged.tools.bench.options import Options


@dataclass(frozen=True)
class Candidate:
    """A model to be measured.

    Attributes:
        path: the file, or the folder of a taught model, as it was typed.
        size: the size of the file, in bytes.
        sha256: the checksum of the file; empty where it cannot be used.
        labels: one per class; empty where they are not needed.
        picture: width, height and channels of its input; of a model of sound or text, its length.
        classes: the number of classes.
        accelerator: cpu | edgetpu | external: what it is to run on.
        device: the Edge TPU that it is compiled for; empty: none.
        model_keys: further keys of ``model`` in a configuration, such as ``normalize``.
        unsure: nothing says which values it wants for pixels.
        warnings: what is odd about it; it is measured all the same.
        problem: why it cannot be used; empty where it can.
        taught: it is the folder of a taught model.
        sound: it takes sound.
        text: it takes text, of which no accuracy is measured.
    """

    path: Path
    size: int
    sha256: str = ""
    labels: tuple[str, ...] = ()
    picture: tuple[int, ...] | None = None
    classes: int | None = None
    accelerator: str = "cpu"
    device: str = ""
    model_keys: Mapping[str, Any] = field(default_factory=dict)
    unsure: bool = False
    warnings: tuple[str, ...] = ()
    problem: str = ""
    taught: bool = False
    sound: bool = False
    text: bool = False


@dataclass(frozen=True)
class Plan:
    """The measurements to make: each model with each runtime and each number of threads.

    Attributes:
        candidates: the models, in the order of the command line.
        runtimes: the runtimes.
        threads: the numbers of threads.
        pictures: the photographs, or the sound files.
        answers: the right answer for each of them; empty: not known.
        library: the Edge TPU's library.
        delegate: the library through which the models run that are to run on an external accelerator.
        delegate_options: its options.
        seconds: how long to run each model.
        thresholds: report what thresholds would do.
    """

    candidates: tuple[Candidate, ...]
    runtimes: tuple[str, ...]
    threads: tuple[int, ...]
    pictures: tuple[str, ...]
    answers: tuple[str, ...]
    library: str
    delegate: str
    delegate_options: tuple[tuple[str, str], ...]
    seconds: float
    thresholds: bool = False


def plan(options: Options) -> tuple[Plan, list[str]]:
    """Read everything that the command line names; return the plan, and notes about it.

    Raises:
        Refused: a file is missing, or the name of a folder of photographs is not a label.
        DriverError: there is no runtime.
        ModelError: the labels cannot be read.
    """
    if options.thresholds and options.images is None:
        raise Refused("--thresholds needs photographs whose right answers are known: --images", os.EX_USAGE)
    chosen, notes = _runtimes(options.runtime)
    paths = [bundled.named(path) for path in options.models]
    named_models = [(path, choice.installed(path)) for path in paths]
    files = [path for path, used in named_models if used is None]
    for path in (*files, *((options.labels,) if options.labels else ())):
        if not os.path.lexists(path):
            raise Refused(f"there is no {path}", os.EX_NOINPUT)
    named = label_files.load(options.labels) if options.labels else None
    folders = photographs.by_label(options.images) if options.images else {}
    accelerator = Accelerator()
    candidates = [
        _candidate(
            used.file if used else path,
            label_files.load(used.labels) if used and used.labels and named is None else named,
            options,
            bool(folders),
            accelerator,
        )
        for path, used in named_models
    ]
    if folders:
        sound = is_sound(next(iter(folders.values()))[0].name)
        candidates = [_for(candidate, options.images, sound=sound) for candidate in candidates]
    pairs = [(str(path), name) for name, paths in folders.items() for path in paths]
    return Plan(
        candidates=tuple(_accelerated(_known(candidates, folders, options), options)),
        runtimes=chosen,
        threads=options.threads or (runtimes.default_threads(),),
        pictures=tuple(path for path, _ in pairs) or tuple(map(str, sorted(bundled.PHOTOS.glob("*.jpg")))),
        answers=tuple(name for _, name in pairs),
        library=accelerator.library,
        delegate=options.delegate,
        delegate_options=options.delegate_options,
        seconds=options.seconds,
        thresholds=options.thresholds,
    ), [*notes, *(warning for candidate in candidates for warning in candidate.warnings)]


def _for(candidate: Candidate, folder: Path | None, *, sound: bool) -> Candidate:
    """Return a model; one that takes something else than what is in the folder cannot be measured on that."""
    if candidate.problem or (candidate.sound == sound and not candidate.text):
        return candidate
    given = "sound" if sound else "photographs"
    takes = "text" if candidate.text else "sound" if candidate.sound else "pictures"
    return replace(candidate, problem=f"{candidate.path}: it takes {takes}, and {folder} has {given}")


def _runtimes(asked: str) -> tuple[tuple[str, ...], list[str]]:
    if asked != "all":
        return (runtimes.choose(asked),), []
    works, notes = [], []
    for name in runtimes.available():
        try:
            works.append(runtimes.choose(name))
        except DriverError as error:
            notes.append(f"{name} is left out: {error}")
    return tuple(works) or (runtimes.choose("auto"),), notes


def _candidate(
    path: Path, named: LabelList | None, options: Options, judged: bool, accelerator: Accelerator
) -> Candidate:
    """Read a model, as ``edged check`` does."""
    if (path / HEAD).is_file():
        return _taught(path, options, judged)
    section = ModelSection.model_validate(options.model_keys)
    found = Candidate(path, _size(path), model_keys=options.model_keys)
    try:
        file = tflite_file.read(path, edgetpu=None).with_output(section.output)
        spec, given = by_input.spec(file), _labels(file, named)
        takes = spec.input
        labels: tuple[str, ...] = ()
        if given is not None or judged:
            labels = loaded_model.labels_of(file, spec, given, str(options.labels or path))
    except ModelError as error:
        return replace(found, problem=str(error))
    unsure, remark = False, ""
    if isinstance(takes, PictureInput):
        values = normalization.of_input(takes, section.normalization, section.order)
        unsure = values.origin == "assumed" and judged
        remark = "" if unsure else normalization.remark(path.name, values, section.normalization)
    return replace(
        found,
        sha256=file.sha256,
        unsure=unsure,
        labels=labels if judged else (),
        warnings=(
            *(f"{path}: {warning}" for warning in label_files.warnings(labels)),
            *([remark] if remark else []),
        ),
        picture=_size_of(takes),
        sound=by_input.is_sound(file),
        text=isinstance(takes, TextInput),
        classes=spec.classes,
        accelerator="edgetpu" if file.for_edgetpu else "cpu",
        device=(discovery.survey().coral or accelerator.port) if file.for_edgetpu else "",
    )


def _size_of(takes: object) -> tuple[int, ...] | None:
    if isinstance(takes, PictureInput):
        return takes.width, takes.height, takes.channels
    if isinstance(takes, TextInput):
        return (takes.length,)
    return (takes.steps,) if isinstance(takes, WindowInput) else None


def _taught(folder: Path, options: Options, judged: bool) -> Candidate:
    """Read a taught model: it is measured with its embedder and its head."""
    size = _size(folder / EMBEDDER) + _size(folder / HEAD)
    found = Candidate(folder, size, model_keys=options.model_keys, taught=True)
    try:
        head = head_file.read(folder / HEAD)
        if head.gives != "picture":
            problem = f"{folder}: it was taught with texts; edged teach NAME --evaluate judges it"
            return replace(found, problem=problem)
        file = tflite_file.read(folder / EMBEDDER, head.embedder)
        picture = image_classifier.picture_input(file)
    except ModelError as error:
        return replace(found, problem=str(error))
    return replace(
        found,
        sha256=head.embedder,
        labels=head.named if judged else (),
        picture=(picture.width, picture.height, picture.channels),
        classes=len(head.named),
    )


def _accelerated(candidates: Iterable[Candidate], options: Options) -> Iterator[Candidate]:
    """Yield the models; those for the CPU a second time where there is an external delegate for them."""
    for candidate in candidates:
        yield candidate
        if options.delegate and candidate.accelerator == "cpu" and not candidate.problem:
            yield replace(candidate, accelerator="external")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # the reader reports why
        return 0


def _labels(file: ModelFile, named: LabelList | None) -> LabelList | None:
    """Return the labels given, else those of the bundled model, which are in a file beside it."""
    if named is None and file.labels is None and file.sha256 == bundled.MODEL_SHA256:
        return label_files.load(bundled.LABELS)
    return named


def _known(
    candidates: Sequence[Candidate], folders: Mapping[str, object], options: Options
) -> list[Candidate]:
    """Leave out the models whose labels lack a right answer.

    Raises:
        Refused: no model has all of them.
    """
    usable = [c for c in candidates if not c.problem]
    named = {name: paths for name, paths in folders.items() if name != UNKNOWN}
    unknown = {c.path: photographs.strangers(named, c.labels) for c in usable}
    nobody = {n: hint for n, hint in next(iter(unknown.values()), {}).items() if _all_miss(n, unknown)}
    if nobody:
        where = f"the labels of {options.labels or ', '.join(str(c.path) for c in usable)}"
        raise Refused(
            f"{options.images}: a folder's name is the right label of what lies in it, and "
            f"{photographs.shown(nobody)} {'is' if len(nobody) == 1 else 'are'} not among {where}",
            os.EX_USAGE,
        )
    return [
        replace(c, problem=f"{c.path}: its labels have no {photographs.shown(unknown[c.path])}")
        if unknown.get(c.path)
        else c
        for c in candidates
    ]


def _all_miss(name: str, unknown: Mapping[Path, Mapping[str, str]]) -> bool:
    return all(name in strangers for strangers in unknown.values())
