"""The one way from a .tflite file and its labels to a model that a task can use. No runtime, no numpy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.models import labels as label_files
from edged.models.tflite import file as tflite_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edged.models.label_text import LabelList
    from edged.models.spec import Spec
    from edged.models.tflite.file import ModelFile


@dataclass(frozen=True)
class LoadedModel:
    """A model file that fits its task.

    Attributes:
        file: the file, checked from end to end.
        spec: what the model takes and gives.
        labels: one for each class, or those of the task.
    """

    file: ModelFile
    spec: Spec
    labels: tuple[str, ...] = field(repr=False)


def load(
    file: Path,
    labels: Path | None = None,
    sha256: str | None = None,
    *,
    inspect: Callable[[ModelFile], Spec],
    edgetpu: bool = False,
    content: int | None = None,
    labels_content: int | None = None,
    output: str | int | None = None,
) -> LoadedModel:
    """Read a model and its labels and check that they fit the task and each other.

    Args:
        file: the .tflite file.
        labels: the text file of labels; None: those that are packed in the model.
        sha256: the checksum that the model must have.
        inspect: the task's inspection: returns what the model takes and gives, or raises ``ModelError``.
        edgetpu: the model is for an Edge TPU.
        content: a descriptor of sealed memory that holds the file's bytes; None: read the file.
        labels_content: the same for the label file.
        output: the number or the name of the one output to use; None: all.

    Raises:
        ModelError: the task cannot use the model; one sentence that names the file.
    """
    model = tflite_file.read(file, sha256, edgetpu=edgetpu, content=content).with_output(output)
    spec = inspect(model)
    named = label_files.load(labels, labels_content) if labels is not None and not spec.labels else None
    return LoadedModel(model, spec, labels_of(model, spec, named, str(labels or file)))


def labels_of(model: ModelFile, spec: Spec, named: LabelList | None, where: str) -> tuple[str, ...]:
    """Return the labels that the task gives to the model's answers.

    Args:
        model: the file, which may have labels packed in it.
        spec: what the task found in it.
        named: the labels of a file of labels; None: there is no such file.
        where: the file that the labels came from, for the error.

    Raises:
        ModelError: there are none, or not one for each class.
    """
    return spec.labels or label_files.of_model(
        model.path, model.labels, spec.classes, named, where, background=spec.background
    )
