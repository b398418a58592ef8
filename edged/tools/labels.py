"""``edged labels``: the labels of models, and the search for a word in them."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

from edged import tasks
from edged.config import loader
from edged.config.error_messages import closest
from edged.errors import ModelError
from edged.models import bundled, loaded_model, picture_model, text_classifier
from edged.models import labels as label_files
from edged.models.taught import head_file
from edged.models.taught.store import HEAD
from edged.models.tflite import file as tflite_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edged.config.pipeline import PipelineSection
    from edged.models.tflite.file import ModelFile


class Vocabulary(NamedTuple):
    """The labels of one model.

    Attributes:
        name: the pipeline, or the model's file.
        labels: its labels, by class.
    """

    name: str
    labels: tuple[str, ...]


def of_model(file: Path, labels: Path | None, output: str | None = None) -> Vocabulary:
    """Return the labels of a classifier.

    Args:
        file: the .tflite file, the name of a bundled one, or the folder of a taught model, which has its own.
        labels: the label file; None: the labels packed in the model.
        output: the output with the scores, where there are several.

    Raises:
        ModelError: the model or its labels cannot be used.
    """
    file = bundled.named(file)
    if (file / HEAD).is_file():
        return Vocabulary(file.name, _taught(file))
    model = tflite_file.read(file, edgetpu=None).with_output(output)
    if model.sha256 == bundled.MODEL_SHA256 and labels is None:
        labels = bundled.LABELS
    given = label_files.load(labels) if labels is not None else None
    try:
        spec = (text_classifier if text_classifier.is_text(model) else picture_model).spec(model)
    except ModelError:
        found = given or model.labels  # a model of another task
        if found is None:
            raise
        return Vocabulary(file.stem, found.names)
    return Vocabulary(file.stem, loaded_model.labels_of(model, spec, given, str(labels or file)))


def of_configuration(path: Path | str) -> list[Vocabulary]:
    """Return the labels of each pipeline of a configuration.

    Raises:
        ConfigError: the configuration is invalid.
        ModelError: a model or its labels cannot be used.
    """
    pipelines = loader.load(path).pipelines
    return [Vocabulary(name, of_pipeline(pipeline)) for name, pipeline in pipelines.items()]


def of_bundled() -> Vocabulary:
    """Return the labels of the bundled classifier."""
    return of_model(bundled.MODEL, bundled.LABELS)


def of_pipeline(pipeline: PipelineSection) -> tuple[str, ...]:
    """Return the labels of what a pipeline runs.

    Raises:
        ModelError: the model or its labels cannot be used.
    """
    named = pipeline.model
    if named.taught is not None:
        return _taught(named.taught)
    file = named.edgetpu_file if named.file is None and named.edgetpu_file else pipeline.model_file()
    model: ModelFile | None = None
    if file is not None:
        compiled = file == named.edgetpu_file
        sha256 = named.edgetpu_sha256 if compiled else named.sha256
        model = tflite_file.read(file, sha256, edgetpu=compiled).with_output(named.output)
    spec = tasks.load(pipeline.task.kind).inspect(model, pipeline.source.sample)
    if model is None:
        return tuple(spec.labels)
    labels = bundled.LABELS if pipeline.bundled else named.labels
    given = label_files.load(labels) if labels is not None else None
    return loaded_model.labels_of(model, spec, given, str(labels or file))


def _taught(folder: Path) -> tuple[str, ...]:
    return tuple(head_file.read(folder / HEAD).named)


def search(vocabularies: Sequence[Vocabulary], word: str) -> list[Vocabulary]:
    """Return the labels that contain a word, whatever its case and accents; ``_`` is a space."""
    wanted = _folded(word)
    return [
        Vocabulary(name, tuple(label for label in labels if wanted in _folded(label)))
        for name, labels in vocabularies
    ]


def nearest(vocabularies: Sequence[Vocabulary], word: str) -> str:
    """Return a label that may be meant, as a question; empty where none is close."""
    parts = {part.strip() for _, labels in vocabularies for label in labels for part in label.split(",")}
    return closest(word.replace("_", " "), sorted(parts))


def _folded(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c)).replace("_", " ").casefold()
