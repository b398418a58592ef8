"""Describes a model that takes text as numbers, such as one of replies. Needs no runtime and no numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import ModelError
from edged.models import labels as label_files
from edged.models.spec import Spec, TextInput

if TYPE_CHECKING:
    from edged.models.tflite.file import ModelFile

_LONGEST = 4096  # ids
_DOCUMENT = "docs/models.md, Text, tells how"


def spec(model: ModelFile) -> Spec:
    """Return what a text classifier takes and gives.

    Raises:
        ModelError: it is not one; the sentence says what it looks like.
    """
    where = model.path
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        count = f"{len(model.inputs)} inputs and {len(model.outputs)} outputs"
        raise ModelError(f"{where}: it has {count}; edged runs models of text with one of each")
    ids, scores = model.inputs[0], model.outputs[0]
    if ids.dtype == "string":
        raise ModelError(f"{where}: it takes strings; convert it so that it takes the numbers of words")
    if not is_text(model):
        raise ModelError(f"{where}: its input ({ids.dtype}, {ids.shown}) is not a row of int32 for words")
    if ids.dynamic or not 1 < ids.shape[-1] <= _LONGEST:
        raise ModelError(f"{where}: it leaves the length of the text open; convert it with a fixed one")
    if unfit := scores.unfit("output", scaled=True):
        raise ModelError(f"{where}: {unfit}")
    sides = scores.sides
    if len(sides) != 1 or sides[0] > label_files.MAX_CLASSES:
        raise ModelError(f"{where}: its output ({scores.shown}) is not a row of scores")
    if model.words is None:
        what = "it does not say which number is which word"
        raise ModelError(f"{where}: {what}: pack vocab.txt or text.json into it; {_DOCUMENT}")
    return Spec(TextInput(ids.shape[-1], model.words, ids), (scores,), sides[0], last_step=model.last_step)


def is_text(model: ModelFile) -> bool:
    """Return whether a model looks like one that takes text as numbers."""
    if len(model.inputs) != 1:
        return False
    ids = model.inputs[0]
    return ids.dtype == "int32" and (len(ids.shape) == 1 or (len(ids.shape) == 2 and ids.shape[0] == 1))
