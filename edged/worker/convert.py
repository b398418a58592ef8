"""The process that converts: it has TensorFlow, reads the source, and gives back .tflite files as text.

::

    convert ──ConvertRequest──▶ python -m edged.worker.convert ──{"stage": …}, {"source": …}, {"row": …},
                                                                {"part": …}, {"made": …}──▶ convert

A source may carry code, and TensorFlow crashes on some of them. So this process has no network, sees its
files alone, and may take so much memory and no more; what it makes goes back through its pipe.
"""

from __future__ import annotations

import base64
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from edged.config.model import ModelSection
from edged.errors import ModelError
from edged.ipc.convert_request import WHOLE, ConvertRequest
from edged.models import image_classifier, normalization
from edged.models.normalization import BGR, USUAL
from edged.models.tflite import file as tflite_file
from edged.system import isolation, kernel, syscalls
from edged.system.child import serve
from edged.worker import float_model
from edged.worker.converted_pictures import prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.models.normalization import InputValues
    from edged.models.spec import PictureInput
    from edged.system.child import Tell


class Origin(Protocol):
    """A source.

    Attributes:
        told: its ``input``, ``output``, ``shape``, ``guessed``, ``trained_quantised`` and ``tensorflow``.
    """

    told: dict[str, Any]

    def plain(self) -> bytes:
        """Return it as a float .tflite file."""

    def scores(self, tensor: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return its scores for an input."""

    def quantised(self, mode: str, examples: Callable[[], Iterator[Any]], values: InputValues) -> bytes:
        """Return it as a .tflite file in another mode than ``none``.

        Args:
            mode: one of ``edged.ipc.convert_request.MODES``.
            examples: gives the inputs that quantisation is calibrated with, each in a list.
            values: what pixels become.
        """

    def core_ml(
        self, values: InputValues, labels: Sequence[str], *, half: bool
    ) -> tuple[bytes, dict[str, Any]]:
        """Return it as a Core ML package in a zip archive, and what was compared with the source.

        Raises:
            ModelError: the package is not what its source is.
        """

    def layers(self, examples: Callable[[], Iterator[Any]]) -> list[tuple[str, float]]:
        """Return layers with the error that quantisation gives each, in steps of its scale, the worst first.

        Raises:
            ModelError: they cannot be measured.
        """


_PART = 3 << 18  # bytes of a file that go in one line
_WORST = 5  # layers
_JUDGED = 100  # photographs that each of the usual values is tried on
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "TF_ENABLE_ONEDNN_OPTS": "0"}


class Conversion:
    """One request.

    Args:
        request: what to convert.
        tell: takes what goes back.
    """

    def __init__(self, request: ConvertRequest, tell: Tell) -> None:
        self._request = request
        self._tell = tell
        self._began = time.monotonic()

    def run(self) -> None:
        """Convert, and send everything back.

        Raises:
            ModelError: the source cannot be converted; one sentence.
        """
        request = self._request
        origin = self._read()
        plain = _made(origin.plain)
        picture, classes, values = _described(plain, request)
        self._tell({"source": {**origin.told, **_told(picture, classes, values)}})
        self._send("float", plain)
        self._stage(f"running the source on {len(request.pictures)} photographs")
        self._answer(origin, picture)
        if request.core_ml:
            self._stage("converting to Core ML")
            content, found = self._packaged(origin, values)
            self._send("package", content)
            self._tell({"core_ml": found})
        elif request.mode != "none":
            self._stage(f"converting to {request.mode}")
            self._send("made", _made(lambda: self._quantised(origin, picture, values)))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        took = round(time.monotonic() - self._began, 1)
        self._tell({"ended": {"peak_mb": used, "seconds": took, "tensorflow": origin.told["tensorflow"]}})

    def _read(self) -> Origin:
        """Return the source; import TensorFlow only where it is needed."""
        request = self._request
        if request.kind == "tflite":
            if request.mode != "none":
                self._stage("loading TensorFlow")
            return float_model.FloatModel(Path(request.source))
        self._stage("loading TensorFlow")
        from edged.worker.saved_graph import SavedGraph

        self._stage("converting to float32")
        return SavedGraph(request)

    def _packaged(self, origin: Origin, values: InputValues) -> tuple[bytes, dict[str, Any]]:
        """Return a package. Raises ``ModelError`` where coremltools cannot make it."""
        try:
            return origin.core_ml(values, self._request.labels, half=self._request.mode == "float16")
        except ModelError:
            raise
        except Exception as error:  # coremltools raises what its parts raise
            raise ModelError(f"coremltools cannot convert it: {_reason(str(error))}") from error

    def _stage(self, what: str) -> None:
        self._tell({"stage": what})

    def _send(self, what: str, content: bytes) -> None:
        for at in range(0, len(content), _PART):
            self._tell({"part": what, "data": base64.b64encode(content[at : at + _PART]).decode()})

    def _answer(self, origin: Origin, picture: PictureInput) -> None:
        """Run the source on every photograph, and with the usual values where the right answers are known."""
        request = self._request
        for number, tensor in prepared(request.pictures, picture, request.values):
            self._tell({"row": [round(float(score), 6) for score in origin.scores(tensor)], "of": number})
        if not any(request.answers):
            return
        step = max(1, len(request.pictures) // _JUDGED)
        files, answers = request.pictures[::step], request.answers[::step]
        for name in USUAL:
            keys = {"normalize": name, "channels": "bgr" if name in BGR else "rgb"}
            right = [
                int(origin.scores(tensor).argmax()) in answers[number]
                for number, tensor in prepared(files, picture, keys)
                if answers[number]
            ]
            if right:
                self._tell({"tried": name, "top1": sum(right) / len(right), "n": len(right)})

    def _quantised(self, origin: Origin, picture: PictureInput, values: InputValues) -> bytes:
        request = self._request
        count = min(request.calibration, len(request.pictures))
        files = [request.pictures[n * len(request.pictures) // count] for n in range(count)]
        seen = _Seen()

        def examples() -> Iterator[list[NDArray[np.generic]]]:
            for _, tensor in prepared(files, picture, request.values):
                seen.add(tensor)
                yield [tensor.copy()]

        made = origin.quantised(request.mode, examples, values)
        if request.mode in WHOLE and not origin.told["trained_quantised"]:
            told: dict[str, Any] = {"n": seen.count, "spread": seen.spread}
            if seen.count:
                told |= {"low": seen.low, "high": seen.high}
            self._tell({"calibrated": told})
        if request.layers:
            self._stage("measuring the error of each layer")
            self._tell({"layers": origin.layers(examples)[:_WORST]})
        return made


class _Seen:
    """What quantisation was calibrated with.

    Attributes:
        count: photographs.
        low, high: the least and the greatest number of them.
    """

    def __init__(self) -> None:
        self.count = 0
        self.low, self.high = float("inf"), float("-inf")
        self._sum = self._squares = 0.0
        self._numbers = 0

    def add(self, tensor: NDArray[np.generic]) -> None:
        """Take one into account."""
        numbers = tensor.astype("float64")
        self.count += 1
        self.low, self.high = min(self.low, float(numbers.min())), max(self.high, float(numbers.max()))
        self._sum += float(numbers.sum())
        self._squares += float((numbers**2).sum())
        self._numbers += numbers.size

    @property
    def spread(self) -> float:
        """The standard deviation of all their numbers."""
        if not self._numbers:
            return 0.0
        mean = self._sum / self._numbers
        return float(max(0.0, self._squares / self._numbers - mean * mean) ** 0.5)


def _made(convert: Any) -> bytes:
    """Return what the converter makes. Raises ``ModelError`` with the line that tells why it cannot."""
    try:
        return bytes(convert())
    except ModelError:
        raise
    except Exception as error:  # the converter raises what its parts raise
        raise ModelError(f"TensorFlow cannot convert it: {_reason(str(error))}") from error


def _reason(text: str) -> str:
    """Return the line of a converter's pages that tells the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    telling = [line for line in lines if "op is neither a custom op" in line or "tf." in line[:60]]
    needed = [line for line in lines if line.startswith(("TF Select ops:", "Custom ops:", "Flex ops:"))]
    if lines[:1] == ["in user code:"]:  # a traceback, which ends with the reason
        lines.reverse()
    return " ".join((needed or telling or lines or ["without a word"])[0].split())[:300]


def _described(content: bytes, request: ConvertRequest) -> tuple[PictureInput, int, InputValues]:
    """Return the input of a model, its number of classes, and the values that the input gets."""
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        model = tflite_file.read(Path(file.name))
    try:
        spec = image_classifier.spec(model)
        picture = image_classifier.picture_input(model)
    except ModelError as error:
        raise ModelError(str(error).replace(file.name, request.source)) from None
    section = ModelSection.model_validate(dict(request.values))
    return picture, spec.classes, normalization.of_input(picture, section.normalization, section.order)


def _told(picture: PictureInput, classes: int, values: InputValues) -> dict[str, Any]:
    """Return what is told of a source besides its names."""
    return {
        "classes": classes,
        "graph": picture.range,
        "values": values.shown,
        "origin": values.origin,
        "mean": values.mean,
        "std": values.std,
        "order": values.order,
        "low": min((0 - m) / s for m, s in zip(_each(values.mean), _each(values.std), strict=True)),
        "high": max((255 - m) / s for m, s in zip(_each(values.mean), _each(values.std), strict=True)),
    }


def _each(numbers: tuple[float, ...]) -> tuple[float, ...]:
    return numbers * 3 if len(numbers) == 1 else numbers


def convert(data: bytes, tell: Tell) -> None:
    """Give up the network, then do what is requested.

    Args:
        data: the request.
        tell: takes what goes back.
    """
    kernel.name_process("edged-convert")
    os.environ.update(_QUIET)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.pop(name, None)
    request = ConvertRequest.from_json(data)
    if request.memory_mb:
        limit = request.memory_mb << 20
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    try:
        walled = syscalls.worker_filter(programs=True).load()  # TensorFlow makes temporary files
    except OSError:
        walled = False
    tell({"network": not walled and not isolation.has_no_network(Path("/proc/self"))})
    try:
        Conversion(request, tell).run()
    except ModelError as error:
        tell({"error": str(error)})
    except MemoryError:
        tell({"error": f"it needs more than {request.memory_mb} MB of memory (--memory-mb)"})


if __name__ == "__main__":
    serve(convert)
