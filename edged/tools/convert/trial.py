"""Has a .tflite file run on photographs in a runtime, in a process of its own."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import Refused
from edged.ipc.convert_request import RunRequest
from edged.system.child import ChildFailed, answers
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MODULE = "edged.worker.run_converted"
_PATIENCE_S = 120.0


@dataclass
class Run:
    """What a model gave.

    Attributes:
        rows: the scores for each photograph that could be read, by its number.
        invoke_ms: the median time of a run, with one thread.
    """

    rows: dict[int, list[float]] = field(default_factory=dict)
    invoke_ms: float = 0.0


def run(model: Path, runtime: str, pictures: Sequence[str], values: Mapping[str, Any]) -> Run:
    """Run a model.

    Args:
        model: the file.
        runtime: ``litert`` or ``tflite-runtime``.
        pictures: photographs.
        values: the keys of ``model`` about the values of pixels.

    Raises:
        Refused: the runtime refuses the model, or crashes on it.
    """
    request = RunRequest(str(model), runtime, tuple(pictures), values)
    needs = Needs(files=(str(model.parent), *sorted({str(Path(file).parent) for file in pictures})))
    found = Run()
    try:
        with contextlib.closing(answers(_MODULE, request.to_json(), _PATIENCE_S, needs)) as received:
            for answer in received:
                if "error" in answer:
                    said = str(answer["error"]).replace(f"{model}: ", "")
                    raise Refused(f"{runtime}: {said}")
                if "row" in answer:
                    found.rows[int(answer["of"])] = [float(score) for score in answer["row"]]
                elif "ended" in answer:
                    found.invoke_ms = float(answer["ended"]["invoke_ms"])
    except ChildFailed as failed:
        raise Refused(f"{runtime}: the result cannot run: {failed}") from None
    return found
