"""The process that runs a converted model on photographs in one runtime, and gives back its scores.

A file that loads may be wrong by 90 points, or end the process: so it is run here, where a crash costs one
line, and compared by the process that started this one.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edged.errors import DriverError, ModelError
from edged.inference import model as models
from edged.inference import runtime
from edged.ipc.convert_request import RunRequest
from edged.models import image_classifier
from edged.models.loaded_model import LoadedModel
from edged.models.tflite import file as tflite_file
from edged.system import kernel, sandbox
from edged.system.child import serve
from edged.system.needs import Needs
from edged.worker.converted_pictures import prepared

if TYPE_CHECKING:
    from edged.models.tensor import Tensor
    from edged.system.child import Tell


def _run(request: RunRequest, tell: Tell) -> None:
    runtime.preload(request.runtime)
    file = tflite_file.read(Path(request.model))
    spec = image_classifier.spec(file)
    model = models.open_model(LoadedModel(file, spec, ()), runtime=request.runtime, threads=1)
    took = []
    for number, tensor in prepared(request.pictures, image_classifier.picture_input(file), request.values):
        began = time.perf_counter()
        (answer, *_) = model.invoke(tensor)
        took.append(time.perf_counter() - began)
        tell({"row": _scores(answer, spec.outputs[0]), "of": number})
    median = statistics.median(took) if took else 0.0
    tell({"ended": {"invoke_ms": round(median * 1000, 3)}})


def _scores(answer: Any, output: Tensor) -> list[float]:
    """Return an answer as real numbers."""
    numbers = np.asarray(answer, np.float64).ravel()
    if not output.is_float:
        numbers = (numbers - output.zero_point) * output.scale
    return [round(float(number), 6) for number in numbers]


def run(data: bytes, tell: Tell) -> None:
    """Give up everything else, then do what is requested.

    Args:
        data: the request.
        tell: takes what goes back.
    """
    kernel.name_process("edged-converted")
    kernel.close_memory()
    request = RunRequest.from_json(data)
    folders = {str(Path(file).parent) for file in request.pictures}
    walls = sandbox.confine(Needs(files=(request.model, *sorted(folders))))
    cv2.setNumThreads(1)
    tell({"walls": walls.holds})
    try:
        _run(request, tell)
    except (ModelError, DriverError) as error:
        tell({"error": str(error)})


if __name__ == "__main__":
    serve(run)
