"""The process that teaches: it sees the examples, and gives back features and a head.

::

    teach ──request──▶ python -m edged.worker.teach ──{"done": n}, {"taken": n}, {"found": …}──▶ teach

It has pixels, or the lines of a text, and no network; it can write no file, so what it found goes back
through its pipe, as text, and the process with the network checks and stores it. Like every process that
decodes what others made, it gives up everything else first, and it dies with its caller.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np

from edged import sources
from edged.config.model import ModelSection
from edged.config.needs import of_lesson
from edged.config.source import SOURCES
from edged.errors import ModelError, Reason, Unavailable
from edged.inference import head as heads
from edged.inference import model as models
from edged.inference import runtime, text_features
from edged.inference.preprocess import Preparer
from edged.ipc.teach_request import TeachRequest
from edged.models.loaded_model import LoadedModel
from edged.models.taught import embedder, head_file
from edged.models.tflite import file as tflite_file
from edged.sources import Frame, jpeg, photographs
from edged.system import clock, kernel
from edged.system.child import serve
from edged.system.files import open_regular
from edged.worker import masking, one_request
from edged.worker.picture_quality import Quality

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edged.inference.head import Floats
    from edged.models.spec import PictureInput, Spec
    from edged.sources import Source, SourceConfig
    from edged.system.child import Tell

PER_LABEL = 200  # examples that are kept, the newest ones
_TELL_S = 0.3
_MAX_TEXT = 4_000_000  # bytes of a file
_PATIENCE_S = 10.0  # for a camera to give a picture
_QUALITY = 95  # of the pictures that are kept
_SAME = 0.99999  # the cosine of two examples that count as the same one


class Lesson:
    """One request.

    Args:
        request: what to teach or examine.
        tell: takes what goes back.
    """

    def __init__(self, request: TeachRequest, tell: Tell) -> None:
        self._request = request
        self._tell = tell
        self._told_at = 0.0
        self._unreadable: list[str] = []
        self._why = ""  # the first one cannot be read
        self._rows: list[Floats] = []
        self._answers: list[int] = []

    def run(self) -> dict[str, Any]:
        """Look at all examples, and teach or examine.

        Raises:
            ModelError: the model or the head cannot be used, or nothing can be read.
            DriverError: the runtime or the camera's package is missing.
            Unavailable: the camera is away.
        """
        request = self._request
        before = head_file.read(Path(request.head)) if request.head else None
        if request.row:
            self._take(request.row)
        elif request.embedder:
            self._look()
        else:
            self._read()
        found = self._examine(before) if request.examine and before is not None else self._teach(before)
        return {**found, "unreadable": self._unreadable}

    # Examples.

    def _look(self) -> None:
        """Make features of every picture."""
        request = self._request
        if request.files or request.camera:
            runtime.preload(request.runtime)
            file = tflite_file.read(Path(request.embedder), request.sha256, edgetpu=None)
            spec = embedder.spec(file)
            loaded = LoadedModel(file, spec, ())
            model = models.open_model(loaded, runtime=request.runtime)
            prepare = _preparer(request, spec).prepare
            for frame, answer in self._frames(spec):
                self._rows.append(heads.features_of(model.invoke(prepare(frame)), spec.outputs[0]))
                self._answers.append(answer)

    def _take(self, row: str) -> None:
        """Take the features that the request has."""
        features = np.frombuffer(base64.b64decode(row, validate=True), "<f2").astype(np.float32)
        if not np.isfinite(features).all() or not features.any():
            raise ModelError("these are not features")
        self._rows.append(features)
        self._answers.append(self._request.answer)

    def _read(self) -> None:
        """Make features of every line of every file."""
        for path, answer in zip(self._request.files, self._request.answers, strict=True):
            try:
                lines = _lines(Path(path))
            except OSError as error:
                self._leave_out(path, error)
                continue
            self._rows += [text_features.row(line) for line in lines]
            self._answers += [answer] * len(lines)
            self._progress(len(self._rows))

    def _frames(self, spec: Spec) -> Iterator[tuple[Frame, int]]:
        request = self._request
        if request.camera is not None:
            for frame in _taken(request, spec, self._tell):
                yield frame, request.answer
            return
        picture = cast("PictureInput", spec.input)
        least = picture.width, picture.height
        for done, (path, answer) in enumerate(zip(request.files, request.answers, strict=True)):
            self._progress(done)
            try:
                found = photographs.read(
                    Path(path), lambda width, height: jpeg.shrink((width, height), least)
                )
            except OSError as error:
                self._leave_out(path, error)
            else:
                yield Frame(found.pixels, clock.wall(), shrink=found.shrink), answer

    def _progress(self, done: int) -> None:
        now = clock.monotonic()
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            self._tell({"done": done})

    def _leave_out(self, path: str, error: OSError) -> None:
        self._unreadable.append(path)
        if not self._why:
            self._why = f" ({path}: {(error.strerror or str(error)).lower()})"

    # What they teach.

    def _teach(self, before: head_file.HeadFile | None) -> dict[str, Any]:
        """Fit a head to the examples so far and to the new ones."""
        known = _known(before, self._request.labels)
        rows, answers = _merged(*known, self._rows, self._answers)
        if not len(rows):
            raise ModelError(f"there is no example that can be read{self._why}")
        for label in sorted(set(range(len(self._request.labels))) - set(answers.tolist())):
            name = self._request.labels[label]
            if label in known[1]:
                raise ModelError(f"all examples of {name} were shown as another label: forget {name} first")
            raise ModelError(f"no example of {name} can be read{self._why}")
        fitted = self._fitted(rows, answers, len(self._request.labels), before)
        return {
            "features": rows.shape[1],
            "answers": answers.tolist(),
            "gates": [fitted.gates.cosine, fitted.gates.margin],
            "weights": _text(fitted.weights),
            "bias": _text(fitted.bias),
            "examples": _text(rows),
            **_left_out(fitted),
        }

    def _fitted(
        self, rows: Floats, answers: NDArray[np.intp], labels: int, before: head_file.HeadFile | None
    ) -> heads.Fit:
        pictures = before.gives == "picture" if before is not None else bool(self._request.embedder)
        return heads.fit(rows, answers, labels, errors=heads.ERRORS if pictures else 0.0)

    def _examine(self, before: head_file.HeadFile) -> dict[str, Any]:
        """Judge the examples of the head by leaving each out, and the new ones by the head as it is."""
        rows, answers = _known(before, before.labels)
        found: dict[str, Any] = {"answers": answers.tolist()} | _left_out(
            self._fitted(rows, answers, len(before.labels), before)
        )
        if self._rows:
            head = heads.Head(before)
            given = np.stack(self._rows)
            judged = head.answers(given)
            found |= {
                "judged": judged.argmax(axis=1).tolist(),
                "passed": head.passes(given, judged).tolist(),
                "right": self._answers,
            }
        return found


def _lines(path: Path) -> list[str]:
    """Return the lines of a file of text that are not empty. Raises ``OSError``."""
    with open_regular(path) as file:
        content = file.read(_MAX_TEXT + 1)
    if len(content) > _MAX_TEXT:
        raise OSError(f"{path} is too long")
    return [line.strip() for line in content.decode("utf-8-sig", "replace").splitlines() if line.strip()]


def _preparer(request: TeachRequest, spec: Spec) -> Preparer:
    source = request.camera or {}
    values = ModelSection.model_validate(request.values)
    return Preparer(
        cast("PictureInput", spec.input),
        cast("Any", request.fit),
        int(source.get("rotate", 0)),
        source.get("crop"),
        normalize=values.normalization,
        order=values.order,
    )


def _taken(request: TeachRequest, spec: Spec, tell: Tell) -> Iterator[Frame]:
    """Take pictures with a camera, one each interval; bad ones are skipped.

    Raises:
        Unavailable: the camera is away, or shows nothing for a while.
        DriverError: its package is missing.
    """
    picture = cast("PictureInput", spec.input)
    config = cast("SourceConfig", SOURCES.read(dict(request.camera or {})))
    hint = sources.Hint(picture.width, picture.height, _PATIENCE_S)
    source: Source = masking.create(config, hint)
    try:
        source.open()
        quality = Quality(0)
        for number in range(request.count):
            _wait(source, clock.monotonic() + request.interval_s)
            frame = _good(source, quality)
            if request.keep:
                _keep(frame, request.keep[number])
            yield frame
            tell({"taken": number + 1})
    finally:
        source.close()


def _keep(frame: Frame, descriptor: int) -> None:
    """Write a picture to a file that is open. Raises ``ModelError`` where there is no room for it."""
    pixels = frame.pixels[..., ::-1] if frame.order == "rgb" else frame.pixels
    jpeg = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1]
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(jpeg.tobytes())
    except OSError as error:
        raise ModelError(f"a picture cannot be kept: {(error.strerror or str(error)).lower()}") from None


def _wait(source: Source, until: float) -> None:
    """Read pictures and drop them: a camera adjusts itself, and no old picture is left in it."""
    while clock.monotonic() < until:
        try:
            source.read(_PATIENCE_S)
        except Unavailable as error:
            if error.reason is Reason.ENDED:
                return
            raise


def _good(source: Source, quality: Quality) -> Frame:
    end = clock.monotonic() + _PATIENCE_S
    while True:
        frame = source.read(_PATIENCE_S)
        bad = quality.check(frame) if frame is not None else None
        if frame is not None and bad is None:
            return frame
        if clock.monotonic() > end:
            raise Unavailable(Reason.TIMEOUT, f"the camera gives {f'only {bad}' if bad else 'no'} pictures")


def _known(before: head_file.HeadFile | None, labels: tuple[str, ...]) -> tuple[Floats, NDArray[np.intp]]:
    """Return the examples of a head whose labels are among these, numbered as they are here."""
    if before is None:
        return np.empty((0, 0), np.float32), np.empty(0, np.intp)
    rows = np.frombuffer(before.examples, "<f2").reshape(-1, before.features).astype(np.float32)
    anew = {number: labels.index(label) for number, label in enumerate(before.labels) if label in labels}
    kept = np.array([answer in anew for answer in before.answers])
    answers = np.array([anew[answer] for answer in before.answers if answer in anew], np.intp)
    return heads.scaled(rows[kept]), answers


def _merged(
    rows: Floats, answers: NDArray[np.intp], new: list[Floats], right: list[int]
) -> tuple[Floats, NDArray[np.intp]]:
    """Return all examples, the newest last: an example that comes again replaces the one before.

    So a correction counts: the same picture with another label. Of each label the newest are kept.
    """
    if new:
        given = heads.scaled(np.stack(new).astype("<f2"))
        newest = np.asarray(given @ given.T > _SAME)
        last = ~np.triu(newest, 1).any(axis=1)
        given, right_ones = given[last], np.array(right, np.intp)[last]
        if len(rows):
            old = ~(rows @ given.T > _SAME).any(axis=1)
            given, right_ones = np.concatenate([rows[old], given]), np.concatenate([answers[old], right_ones])
        rows, answers = given, right_ones
    kept = np.ones(len(rows), bool)
    labels = max(len(np.unique(answers)), 1)
    for label in np.unique(answers):
        places = np.flatnonzero(answers == label)
        kept[places[: -min(PER_LABEL, head_file.MAX_EXAMPLES // labels)]] = False
    return rows[kept], answers[kept]


def _left_out(fitted: heads.Fit) -> dict[str, Any]:
    gates = fitted.gates
    passed = (fitted.left_out.max(axis=1) >= gates.margin) & (fitted.nearest >= gates.cosine)
    return {"left_out": fitted.left_out.argmax(axis=1).tolist(), "kept": passed.tolist()}


def _text(values: NDArray[Any]) -> str:
    return base64.b64encode(heads.stored(values)).decode()


def teach(data: bytes, tell: Tell) -> None:
    """Give up the network, then do what is requested.

    Args:
        data: the request.
        tell: takes what goes back.
    """
    kernel.name_process("edged-teach")
    kernel.close_memory()
    request = TeachRequest.from_json(data)
    one_request.answer(of_lesson(request), Lesson(request, tell).run, tell)


if __name__ == "__main__":
    serve(teach)
