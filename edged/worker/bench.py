"""The process that measures: opens one model, classifies photographs or sound, and times the model.

It has pixels and no network, and dies with main. What it finds goes back as lines of JSON:
``{"done": n}`` now and then, at last ``{"found": …}`` or ``{"error": …}``.

* Latency is what ``invoke`` takes, with copying the tensor in and the scores out: the very call of a worker,
  on photographs in turn, after a warm-up. Reading, preparing and decoding are not included.
* Preparation is what makes a tensor of a decoded photograph: crop, resize, colours, type.
* ``rss_mb`` is the largest resident memory of this process up to the first run of the model: Python, numpy,
  OpenCV and the runtime with the model in it, before any photograph is read. ``model_mb`` is how much of it
  came with the model: the largest less what was resident before the file was opened.
"""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edged.config.model import ModelSection
from edged.config.needs import of_accelerator
from edged.errors import ModelError
from edged.events import UNKNOWN
from edged.inference import edgetpu, external, taught
from edged.inference import model as models
from edged.inference import runtime as runtimes
from edged.inference.decoding import pictures
from edged.inference.taught import TaughtModel
from edged.ipc.bench_request import NOISE, Answers, BenchRequest
from edged.models import by_input, image_classifier, normalization
from edged.models.loaded_model import LoadedModel
from edged.models.normalization import BGR, PRESETS, USUAL
from edged.models.spec import PictureInput
from edged.models.taught import embedder, head_file
from edged.models.tflite import file as tflite_file
from edged.system import clock, kernel
from edged.system.child import serve
from edged.system.needs import Needs, folders_of
from edged.worker import one_request
from edged.worker.bench_material import Photographs, material

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.events import Finding
    from edged.inference.model import Model
    from edged.models.normalization import Order
    from edged.models.spec import TextInput, WindowInput
    from edged.system.child import Tell
    from edged.worker.bench_material import Material

    Tensor = NDArray[np.generic]

T = TypeVar("T")

WARM_RUNS, WARM_S = 3, 0.2
LEAST_RUNS, MOST_RUNS = 10, 50_000  # of a round
SAMPLE = 8  # photographs that the model is timed on, spread over all
PREPARED = 5  # times that each of these is prepared
TOP = 5
_TELL_S = 0.5


class Measurement:
    """One round.

    Args:
        request: what to measure.
        tell: takes what goes back.
    """

    def __init__(self, request: BenchRequest, tell: Tell) -> None:
        self._request = request
        self._tell = tell
        self._told_at = 0.0
        self._takes_part = True

    def run(self) -> dict[str, Any]:
        """Measure, and return everything that was found.

        Raises:
            ModelError: the model cannot be used, or no photograph can be read.
            DriverError: the runtime is missing.
            Unavailable: the accelerator does not work.
        """
        runtimes.preload(self._request.runtime)
        before_mb = _status_mb("VmRSS")
        model, picture = self._open()
        model.rehearse()
        largest_mb = _status_mb("VmHWM")
        section = ModelSection.model_validate(self._request.model_keys)
        given = material(picture, normalize=section.normalization, order=section.order)
        judged: dict[str, Any] = {}
        if self._request.answers:
            if self._request.unsure and isinstance(picture, PictureInput):
                judged = self._best(model, picture)
            else:
                judged = self._judge(model, given)
            judged.pop("sure")
        tensors, prepare_ms = self._sample(given)
        return {
            "invoke_ms": self._time(model, tensors),
            "prepare_ms": prepare_ms,
            "rss_mb": round(largest_mb, 1),
            "model_mb": round(largest_mb - before_mb, 1),
            "takes_part": self._takes_part,
            **judged,
        }

    def _open(self) -> tuple[Model | TaughtModel, PictureInput | WindowInput | TextInput]:
        request = self._request
        if request.head:
            return self._taught(Path(request.head))
        delegate = None
        if request.accelerator == "edgetpu":
            delegate = edgetpu.open_delegate(request.runtime, request.library, request.device)
        elif request.accelerator == "external":
            delegate = external.open_delegate(request.runtime, request.library, request.options)
        compiled = request.accelerator == "edgetpu"
        file = tflite_file.read(Path(request.model), request.sha256, edgetpu=compiled)
        file = file.with_output(ModelSection.model_validate(request.model_keys).output)
        loaded = LoadedModel(file, by_input.spec(file), tuple(request.labels))
        runtime, threads = request.runtime, request.threads
        if request.accelerator == "external":
            model, self._takes_part = external.open_model(
                loaded, delegate, request.library, runtime=runtime, threads=threads
            )
        else:
            model = models.open_model(loaded, runtime=runtime, threads=threads, delegate=delegate)
        takes = loaded.spec.input
        if takes is None:
            raise ModelError(f"{request.model}: it takes nothing that can be given to it")
        return model, takes

    def _taught(self, file: Path) -> tuple[TaughtModel, PictureInput]:
        """Open a taught model: its embedder and its head."""
        request, head = self._request, head_file.read(file)
        found = tflite_file.read(Path(request.model), request.sha256)
        spec = embedder.spec(found, head.named)
        model = models.open_model(
            LoadedModel(found, spec, head.named), runtime=request.runtime, threads=request.threads
        )
        tag = taught.tag(file.parent.name, head.to_bytes())
        return TaughtModel(model, head, tag), image_classifier.picture_input(found)

    def _best(self, model: Model | TaughtModel, picture: PictureInput) -> dict[str, Any]:
        """Judge with each of the usual values for pixels, and return the best result."""
        found = {
            name: self._judge(model, Photographs(picture, normalize=PRESETS[name], order=_order(name)))
            for name in USUAL
        }
        assumed = normalization.of_input(picture).shown
        best = max(found, key=lambda name: (found[name]["first"], name == assumed, found[name]["sure"]))
        tried = {name: judged["first"] / max(1, judged["images"]) for name, judged in found.items()}
        return {**found[best], "normalize": best, "assumed": assumed, "tried": tried}

    def _judge(self, model: Model | TaughtModel, given: Material) -> dict[str, Any]:
        """Classify every file and count the right answers."""
        decoder = pictures.decoder(model.spec, model.labels, TOP)
        answers = Answers(model.labels)
        first = among = images = 0
        sure = 0.0  # the sum of the scores of the right answers
        unreadable = []
        said: list[tuple[str, str, float, bool]] = []
        for done, (path, answer) in enumerate(
            zip(self._request.pictures, self._request.answers, strict=True)
        ):
            self._progress(done)
            samples = given.samples(path)
            if not samples:
                unreadable.append(path)
                continue
            right = answers.meant_by(answer)
            images += (
                bool(right) or answer != UNKNOWN
            )  # what no label is right for is judged by thresholds alone
            tensors = (given.prepare(sample) for sample in samples)
            findings = _together([decoder.decode(model.invoke(tensor), tensor) for tensor in tensors])
            named = [finding.label for finding in findings]
            sure += sum(finding.score for finding in findings if finding.label in right)
            hit = bool(named) and named[0] in right
            first += hit
            if findings:
                best = findings[0]
                said.append((answer, best.label, round(float(best.score), 4), hit))
            among += not right.isdisjoint(named)
        counts = {"first": first, "among": among, "images": images, "sure": sure}
        return {**counts, "unreadable": unreadable, "said": said}

    def _sample(self, given: Material) -> tuple[list[Tensor], list[float]]:
        """Return tensors of some files, and what it took to prepare each."""
        tensors: list[Tensor] = []
        took = []
        for path in _spread(self._request.pictures, SAMPLE):
            samples = given.samples(path)
            if not samples:
                continue
            sample = samples[len(samples) // 2]
            tensors.append(given.prepare(sample).copy())
            took += [_milliseconds(given.prepare, sample) for _ in range(PREPARED)]
            if len(tensors) == SAMPLE:
                break
        if not tensors:
            among = f"none of the {len(self._request.pictures)} files can be read"
            raise ModelError(f"{among}; the first is {self._request.pictures[0]}")
        return tensors, took

    def _time(self, model: Model | TaughtModel, tensors: Sequence[Tensor]) -> list[float]:
        """Return what each run of the model took, in ms."""
        for seconds, least in ((WARM_S, WARM_RUNS), (self._request.seconds, LEAST_RUNS)):
            took: list[float] = []
            end = time.perf_counter() + seconds
            while len(took) < least or (time.perf_counter() < end and len(took) < MOST_RUNS):
                took.append(_milliseconds(model.invoke, tensors[len(took) % len(tensors)]))
                self._progress(len(self._request.pictures))
        return took

    def _progress(self, done: int) -> None:
        now = clock.monotonic()
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            self._tell({"done": done})


def _order(preset: str) -> Order:
    return "bgr" if preset in BGR else "rgb"


def _milliseconds(run: Callable[[T], object], given: T) -> float:
    """Return what one call takes."""
    began = time.perf_counter()
    run(given)
    return round((time.perf_counter() - began) * 1000, 4)


def _together(found: Sequence[Sequence[Finding]]) -> list[Finding]:
    """Return the findings of one file: the highest score of each label in any of its windows, best first."""
    if len(found) == 1:
        return list(found[0])
    best: dict[str, Finding] = {}
    for finding in itertools.chain.from_iterable(found):
        if finding.label not in best or finding.score > best[finding.label].score:
            best[finding.label] = finding
    return sorted(best.values(), key=lambda finding: -finding.score)[:TOP]


def _spread(paths: Sequence[str], count: int) -> Iterator[str]:
    """Give paths from all over the list, then those between them."""
    step = max(1, len(paths) // count)
    for first in range(step):
        yield from paths[first::step]


def _needs(request: BenchRequest) -> Needs:
    named = [path for path in (request.model, request.head) if path]
    needs = Needs(files=(*named, *folders_of([path for path in request.pictures if path != NOISE])))
    return needs | of_accelerator(request.accelerator, request.library, request.device)


def _status_mb(name: str) -> float:
    """Return one of this process's figures of memory (proc(5)), in MB."""
    for line in Path("/proc/self/status").read_text("ascii", "replace").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def measure(data: bytes, tell: Tell) -> None:
    """Give up the network, then measure what is requested.

    Args:
        data: the request.
        tell: takes what goes back.
    """
    kernel.name_process("edged-bench")
    kernel.close_memory()
    request = BenchRequest.from_json(data)
    one_request.answer(_needs(request), Measurement(request, tell).run, tell)


if __name__ == "__main__":
    serve(measure)
