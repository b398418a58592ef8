"""The process that learns one lesson that came over MQTT: main starts it, and it starts the one that fits.

It runs as main does and stores the model; the features of the picture come with the request.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import ModelError, Refused
from edged.system import kernel
from edged.system.child import serve
from edged.tools.teach.teacher import Teacher

if TYPE_CHECKING:
    from edged.system.child import Tell


class _Silent:
    """Takes the progress of a lesson, and shows it to nobody."""

    def progress(self, done: int, total: int) -> None:
        """Do nothing."""

    def taken(self, number: int, total: int) -> None:
        """Do nothing."""

    def note(self, sentence: str) -> None:
        """Do nothing."""


def correct(data: bytes, tell: Tell) -> None:
    """Learn a lesson, or take the last one back; tell what came of it in a sentence.

    Args:
        data: the request of :mod:`edged.daemon.lessons`.
        tell: takes what goes back.
    """
    kernel.name_process("edged-lesson")
    request: dict[str, Any] = json.loads(data)
    folder, teacher = Path(request["folder"]), Teacher(Path(request["state_dir"]), _Silent())
    try:
        _refuse_elsewhere(teacher, folder)
        if request.get("undo"):
            head = teacher.take_back(folder.name)
            tell({"learned": f"the last one was taken back; version {head.version}"})
            return
        row = base64.b64decode(request["row"], validate=True)
        report = teacher.correct(folder.name, request["label"], row)
        tell({"learned": f"version {report['version']}, examples {report['examples']}"})
    except (Refused, ModelError) as error:
        tell({"refused": str(error)})


def _refuse_elsewhere(teacher: Teacher, folder: Path) -> None:
    if teacher.store.folder(folder.name) != folder:
        raise Refused("its taught model is not in the state directory")


if __name__ == "__main__":
    serve(correct)
