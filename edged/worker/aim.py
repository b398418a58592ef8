"""The process that draws what a pipeline sees on the terminal of the person who aims its camera.

::

    aim ── request, terminal, keys ──▶ python -m edged.worker.aim ──{"drawn": n}, {"found": …}──▶ aim
                                              │ pictures
                                              ▼
                                          the terminal

It has pixels and no network. Of the terminal it has a descriptor that can be written and not read, and no
session of its own there, so it cannot type. What it tells main is how many pictures it has drawn.
"""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any, cast

import cv2

from edged.config.needs import of_pipelines
from edged.config.pipeline import PipelineSection
from edged.errors import ModelError, Reason, Unavailable
from edged.events import Detection
from edged.inference import runtime
from edged.inference.preprocess import Preparer
from edged.ipc import aim_request
from edged.ipc.aim_request import AimRequest
from edged.ipc.fault_sentences import PICTURE
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.worker_order import PipelineOrder
from edged.models.spec import PictureInput
from edged.pipeline.presence import placed
from edged.sources import Hint, SourceConfig
from edged.system import clock, kernel
from edged.system.child import serve
from edged.worker import masking, one_request
from edged.worker.capture import Item
from edged.worker.engines import Files, open_engine
from edged.worker.motion import Detector
from edged.worker.picture_quality import Quality
from edged.worker.viewfinder import measures
from edged.worker.viewfinder.composition import Marks, compose, fitted, upright
from edged.worker.viewfinder.screen import Screen, drawer

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.events import Box, Finding
    from edged.sources import Frame, Source
    from edged.system.child import Tell

    Picture = NDArray[np.uint8]

LINES = 4  # below the picture
PATIENCE_S = 8.0  # for a camera to give a picture
_READ_S = 0.5  # for each attempt, so that a key is heard meanwhile
_PAUSE_S = 0.1  # between two pictures of a camera
_STILL_S = 1.0  # between two photographs
_MODEL_S = 0.3  # between two runs of the model: nobody reads faster
_TELL_S = 1.0
_RATE = 0.2  # how much of the latest time between two pictures counts
_BAR = 16  # characters
_QUALITY = 92  # of the JPEG


class Aim:
    """One request.

    Args:
        request: what to draw, and where.
        tell: takes what goes back.
    """

    def __init__(self, request: AimRequest, tell: Tell) -> None:
        self._request = request
        self._tell = tell
        self.section = PipelineSection.model_validate(request.section)
        self._config = cast("SourceConfig", self.section.source)
        self._heartbeat = (
            Heartbeat.create()
        )  # nobody reads it; behind the walls there is no new memory to share
        self._rotate = int(self._config.rotate)
        self._mask = masking.of(self._config)
        self._screen = Screen(request.terminal, drawer(request.way), request.bytes_per_s, LINES)
        self._focus = measures.Focus()
        self._detector = Detector()
        self._covers: tuple[tuple[int, ...], Picture] | None = None  # of the mask, by shape and shrink
        self._quality = Quality(0)
        self._exact = request.exact
        self._zones = tuple(self.section.task.scope.zones.values())
        self._findings: Sequence[Finding] = ()
        self._bad = ""
        self._drawn = 0
        self._last: Frame | None = None
        self._every_s = 0.0  # between two pictures, smoothed
        self._drawn_at = self._judged_at = self._told_at = float("-inf")
        self._over = False

    def run(self) -> dict[str, Any]:
        """Draw until the person ends it.

        Raises:
            ModelError: the model cannot be used, or its crop or mask does not fit the picture.
            DriverError: the runtime, or the package of the camera, is missing.
            Unavailable: the camera is away, or in use.
        """
        runtime.preload(self.section.model.runtime)
        order = PipelineOrder(self._request.name, self._request.section, threads=self._request.threads)
        model, labels = (fd if fd >= 0 else None for fd in (self._request.model, self._request.labels))
        self._engine = open_engine(self.section, order, self._heartbeat.model(), Files(model, labels))
        takes, named = self._engine.spec.input, self.section.model
        if not isinstance(takes, PictureInput):
            raise ModelError(f"{self._request.name}: its model takes no pictures")
        self._takes = takes
        self._preparer = Preparer(
            takes,
            named.fit,
            self._rotate,
            self._config.crop,
            normalize=named.normalization,
            order=named.order,
        )
        source: Source = masking.create(self._config, Hint(patience_s=PATIENCE_S))
        try:
            source.open()
            self._look(source)
        except Unavailable as error:
            if error.reason is not Reason.ENDED:
                raise
        finally:
            source.close()
        return {"drawn": self._drawn, "sent": self._screen.sent} | self._saved()

    def _look(self, source: Source) -> None:
        since = clock.monotonic()
        while not self._over and (self._request.count is None or self._drawn < self._request.count):
            self._hear(max(self._screen.wait_s(clock.monotonic()), self._pause_s(source)))
            try:
                frame = source.read(_READ_S)
            except Unavailable as error:
                if error.reason is not Reason.TIMEOUT or clock.monotonic() - since > PATIENCE_S:
                    raise
                continue
            if frame is not None and not self._over:
                since = clock.monotonic()
                self._show(frame)

    def _pause_s(self, source: Source) -> float:
        """Return how long the next picture waits: a camera gives the newest, and photographs take turns."""
        if not self._drawn:
            return 0.0
        every_s = _PAUSE_S
        if not source.live and not getattr(self._config, "realtime", False):
            every_s = max(_STILL_S, self._config.interval_s)
        return max(0.0, self._drawn_at + every_s - clock.monotonic())

    def _hear(self, wait_s: float) -> None:
        """Wait, and obey the person's keys."""
        until = clock.monotonic() + wait_s
        while not self._over:
            left = max(0.0, until - clock.monotonic())
            if not select.select([self._request.keys], [], [], left)[0]:
                return
            keys = os.read(self._request.keys, 64)
            self._over = not keys or aim_request.END in keys
            if aim_request.FORGET in keys:
                self._focus.forget()
            if aim_request.EXACT in keys:
                self._exact = not self._exact

    def _show(self, frame: Frame) -> None:
        now = clock.monotonic()
        bad = self._quality.check(frame)
        self._bad = PICTURE[bad] if bad is not None else ""
        room = self._screen.room()
        if bad == "shape":
            self._screen.show(None, [self._bad], now)
        else:
            self._last = frame
            picture, lines = self._drawing(frame, room or (1, 1), now)
            self._screen.show(picture if room is not None else None, lines, now)
        if self._drawn:
            self._every_s += (_RATE if self._every_s else 1.0) * (now - self._drawn_at - self._every_s)
        self._drawn, self._drawn_at = self._drawn + 1, now
        if now - self._told_at >= _TELL_S:
            self._told_at = now
            self._tell({"drawn": self._drawn})

    def _drawing(self, frame: Frame, room: tuple[int, int], now: float) -> tuple[Picture, list[str]]:
        """Measure a frame; return what is drawn, and the lines below it."""
        part = self._preparer.part(frame)
        area = self._detector.look(part, frame.order, now)
        shades = measures.grey(part, frame.order)
        hidden = self._hidden(frame)
        self._focus.add(measures.sharpness(shades))
        light = measures.light(shades, self._of_part(frame, hidden))
        self._judge(frame, now)
        moving = self._detector.changed if self.section.motion is not None and area < 1 else None
        marks = Marks(self._preparer.region(frame), hidden, moving, self._zones, self._boxes())
        if self._exact:
            picture = self._exactly(part, frame.order, room)
        else:
            picture = compose(frame.pixels, frame.order, self._rotate, marks, room)
        return picture, self._lines(frame, light, area)

    def _hidden(self, frame: Frame) -> Picture | None:
        """Return where a frame is masked, as the camera gives it; None: nowhere."""
        if self._mask is None:
            return None
        key = (*frame.pixels.shape, frame.shrink)
        if self._covers is None or self._covers[0] != key:
            self._covers = key, self._mask.covers(frame.pixels.shape, frame.shrink)
        return self._covers[1]

    def _of_part(self, frame: Frame, hidden: Picture | None) -> Picture | None:
        """Return the piece of a plane of the frame that the model sees."""
        if hidden is None:
            return None
        x, y, w, h = self._preparer.region(frame)
        seen = upright(hidden, self._rotate)[y : y + h, x : x + w]
        return upright(seen, -self._rotate)

    def _exactly(self, part: Picture, order: str, room: tuple[int, int]) -> Picture:
        """Return the part that the model sees, in as many pixels as it gets."""
        size = (self._takes.width, self._takes.height)
        if self.section.model.fit == "letterbox":
            rows, columns = part.shape[:2]
            size = fitted(*((rows, columns) if self._rotate % 180 else (columns, rows)), size)
        turned = size[::-1] if self._rotate % 180 else size
        small = cv2.resize(part, turned, interpolation=cv2.INTER_AREA)
        whole = Marks((0, 0, *size))
        return compose(cast("Picture", small), order, self._rotate, whole, room)

    def _judge(self, frame: Frame, now: float) -> None:
        """Run the model, if it is time."""
        if now - self._judged_at < _MODEL_S:
            return
        self._judged_at = now
        item = Item(self._preparer.prepare(frame), frame.captured_at, None, 0.0)
        findings = self._engine.decode(item, self._engine.run(item))
        placement = self._preparer.placement(item.tensor)
        self._findings = [placed(finding, placement) for finding in findings or ()]

    def _boxes(self) -> list[Box]:
        """Return the places of the objects that the pipeline would take for one."""
        return [
            finding.box
            for finding in self._findings
            if isinstance(finding, Detection) and finding.score >= self.section.thresholds(finding.label)[0]
        ]

    def _lines(self, frame: Frame, light: measures.Light, area: float) -> list[str]:
        height, width = (n * frame.shrink for n in frame.pixels.shape[:2])
        if self._rotate % 180:
            height, width = width, height
        fps = 1 / self._every_s if self._every_s else 0.0
        fit = self.section.model.fit
        what = f"{width}x{height} \u2192 {self._takes.width}x{self._takes.height} ({fit})"
        seen = "   ".join(f"{finding.label} {finding.score:.2f}" for finding in self._findings[:3])
        focus = self._focus
        best = max(focus.now, focus.best)
        filled = round(_BAR * focus.part)
        bar = "\u2588" * filled + "\u2591" * (_BAR - filled)
        moves = f"moves {min(area, 1.0):6.1%}{self._moves(area)}"
        return [
            f"{self._request.title}   {what}   {fps:.1f} fps",
            f"sharp {bar} {focus.part:4.0%} of the best ({focus.now:.1f} of {best:.1f})  r: forget  q: end",
            f"light {light.mean:4.0%}  too bright {light.clipped:3.0%}  too dark {light.dark:3.0%}  {moves}",
            self._bad or f"sees  {seen or 'nothing'}",
        ]

    def _moves(self, area: float) -> str:
        motion = self.section.motion
        if motion is None:
            return ""
        return f" of {motion.area:.1%}: {'classified' if area >= motion.area else 'still'}"

    def _saved(self) -> dict[str, Any]:
        """Write the last picture where the person asked for that."""
        if self._request.out < 0 or self._last is None:
            return {}
        picture = upright(self._last.pixels, self._rotate)
        if self._last.order == "rgb":
            picture = cast("Picture", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        data = cv2.imencode(".jpg", picture, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))[1].tobytes()
        left = memoryview(data)
        while left:
            left = left[os.write(self._request.out, left) :]
        return {"saved": [picture.shape[1], picture.shape[0], len(data)]}


def answer(request: bytes, tell: Tell) -> None:
    """Give up everything else, then draw.

    Args:
        request: what to draw, and where.
        tell: takes what goes back.
    """
    kernel.name_process("edged-aim")
    kernel.close_memory()
    aim = Aim(AimRequest.from_json(request), tell)
    one_request.answer(of_pipelines([aim.section]), aim.run, tell)


if __name__ == "__main__":
    serve(answer)
