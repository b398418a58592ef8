"""The motion gate: lets a picture pass only while something moves in the part that the model sees.

::

    part of the frame ─▶ small, grey ─▶ logarithm ─▶ structure ─▶ how it differs from the usual ─▶ area

A camera is never quite still, so a cell counts as changed only where its *structure* did: what differs from
the cells around it, in steps of light (a logarithm). Slow or fast light, clouds, shadows with soft edges and
automatic exposure change a neighbourhood together and drop out. Lamps that flicker at the mains' frequency
change whole rows, whose mean is taken off. Each cell learns how much it usually changes, by noise or by
leaves in the wind, and must exceed that several times.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from edged.inference.preprocess import resize

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edged.sources import Frame

    Floats = NDArray[np.float32]
    Picture = NDArray[np.uint8]

BEFORE_S = 5.0  # the picture before a movement is classified too, if it is not older than this
_CELLS = 128  # at most, along the longer side
_STEPS = 64.0  # that one doubling of the light has
_DARK = 32.0  # added to each value, below which noise outweighs light
_WINDOW = 5  # cells across, around one that is compared with them
_LEAST = 4.0  # steps of change that count, however quiet the camera is
_MOST = 60.0  # and those that always count
_TIMES = 6.0  # a cell's usual change
_AT_FIRST = 2.0  # steps of usual change, before it is learnt
_LEARNING = 8  # pictures until the usual is trusted
_STILL_S, _CHANGED_S = 6.0, 20.0  # until a cell's new structure is the usual one
_NOISE_S = 30.0  # until its new unrest is
_SELDOM = 4  # pictures, of one of which it is learnt
_FLICKER = 8.0  # steps by which a lamp that flickers changes the structure of a row, at most
_NEIGHBOURS = 3  # of a cell and the eight around it must have changed: less is noise
_OTHER_SCENE = 0.6  # of all cells: the light was switched on, or the camera moved
_COLOURS = {"bgr": cv2.COLOR_BGR2GRAY, "rgb": cv2.COLOR_RGB2GRAY}
_LIGHT = (_STEPS * np.log2(np.arange(256) + _DARK)).astype(np.float32)


class Rules(NamedTuple):
    """The conditions under which a picture passes.

    Attributes:
        area: the part of the picture that must change, 0..1.
        hold_s: pictures pass for at least this long after the last movement.
        frames: and at least this many, so that what left is voted out.
    """

    area: float
    hold_s: float
    frames: int = 1


class MotionGate:
    """Chooses the frames of one pipeline that are classified; for one thread.

    Args:
        rules: when a frame passes.
        part: returns the part of a frame that the model sees, as it comes from the camera; may raise
            ``ModelError``.

    Attributes:
        moves: frames pass, because something moves or did so a moment ago.
    """

    def __init__(self, rules: Rules, part: Callable[[Frame], Picture]) -> None:
        self._rules = rules
        self._part = part
        self.moves = True
        self.restart()

    def restart(self) -> None:
        """Let the next frame pass, whatever it shows: the source was opened, or the gate."""
        self._detector = Detector()
        self._before: tuple[float, Frame] | None = None
        self._moved_at = -math.inf
        self._left = 0

    def pick(self, frame: Frame, now: float) -> tuple[Frame, ...]:
        """Return the frames to classify now, the oldest first: none, this one, or the one before it as well.

        Args:
            frame: the newest one; a small part of the frames is kept until the next call.
            now: monotonic time in s.

        Raises:
            ModelError: the crop extends beyond the picture.
        """
        rules, before = self._rules, self._before
        moved = self._detector.look(self._part(frame), frame.order, now) >= rules.area
        if moved:
            self._moved_at, self._left = now, rules.frames + 1
        wanted = moved or now - self._moved_at < rules.hold_s or self._left > 0
        self._left -= 1
        began, self.moves = moved and not self.moves, wanted
        self._before = None if wanted else (now, frame)
        if not wanted:
            # A file of a drop folder is judged once, and never comes again.
            return (frame,) if frame.place is not None and frame.place.each else ()
        recent = began and before is not None and now - before[0] <= BEFORE_S
        return (before[1], frame) if recent and before is not None else (frame,)


class Detector:
    """Finds what moves in pictures of one camera; for one thread.

    Attributes:
        changed: the cells that changed in the latest picture, bool ``[rows, columns]``.
    """

    def __init__(self) -> None:
        self.changed: NDArray[np.bool_] = np.empty((0, 0), np.bool_)
        self._usual: Floats | None = None
        self._unrest: Floats = np.empty((0, 0), np.float32)
        self._limit: Floats = self._unrest  # of a change that is usual
        self._unlearnt_s = 0.0  # since the unrest was learnt
        self._seen = 0
        self._at = 0.0

    def look(self, picture: Picture, order: str, now: float) -> float:
        """Return which part of the picture changed, 0..1; 1 for the first one, or one of another size.

        Args:
            picture: uint8, ``[height, width]`` or ``[height, width, 3]``; not kept.
            order: of its colours: ``bgr``, ``rgb`` or ``grey``.
            now: monotonic time in s.
        """
        structure = _structure(picture, order)
        elapsed_s, self._at = max(0.0, now - self._at), now
        usual = self._usual
        if usual is None or usual.shape != structure.shape:
            return self._begin(structure)
        self._seen += 1
        difference = structure - usual
        difference -= _row_means(difference)
        change = np.abs(difference)
        self.changed = _together(change > self._limit)
        area = float(np.count_nonzero(self.changed)) / self.changed.size
        if area > _OTHER_SCENE:
            self._usual = structure
            return area
        self._learn(usual, difference, elapsed_s, moved=area > 0)
        self._learn_unrest(change, elapsed_s, moved=area > 0)
        return area

    def _learn(self, usual: Floats, difference: Floats, elapsed_s: float, *, moved: bool) -> None:
        """Make what is seen a bit more usual: more of the first pictures, but not of what moves in them."""
        first = 1 / (self._seen + 1) if self._seen < _LEARNING else 0.0
        still = max(_share(elapsed_s, _STILL_S), first)
        if moved:
            usual += self._where(_share(elapsed_s, _CHANGED_S), still) * difference
        else:
            cv2.scaleAdd(difference, still, usual, dst=usual)

    def _learn_unrest(self, change: Floats, elapsed_s: float, *, moved: bool) -> None:
        """Learn how much each cell changes: from each of the first pictures, then from a few of them."""
        self._unlearnt_s += elapsed_s
        if self._seen >= _LEARNING and self._seen % _SELDOM:
            return
        noise = _share(self._unlearnt_s, _NOISE_S)
        still = max(noise, 1 / (self._seen + 1)) if self._seen < _LEARNING else noise
        rates = self._where(noise, still) if moved else np.float32(still)
        self._unrest += rates * (np.minimum(change, _MOST) - self._unrest)
        self._limit = np.clip(_TIMES * self._unrest, _LEAST, _MOST)
        self._unlearnt_s = 0.0

    def _where(self, changed: float, still: float) -> Floats:
        """Return one number for the cells that changed and another for the others."""
        return np.where(self.changed, np.float32(changed), np.float32(still))

    def _begin(self, structure: Floats) -> float:
        self._usual, self._seen, self._unlearnt_s = structure, 0, 0.0
        self._unrest = np.full(structure.shape, _AT_FIRST, np.float32)
        self._limit = np.clip(_TIMES * self._unrest, _LEAST, _MOST)
        self.changed = np.ones(structure.shape, np.bool_)
        return 1.0


def _share(elapsed_s: float, whole_s: float) -> float:
    return 1 - math.exp(-elapsed_s / whole_s)


def _structure(picture: Picture, order: str) -> Floats:
    """Return how each cell differs from those around it, in steps of light."""
    height, width = picture.shape[:2]
    halvings = max(0, math.ceil(math.log2(max(width, height) / _CELLS)))
    # Every second row has enough of a large picture, and spares half of the memory that is read.
    small = resize(
        picture[::2] if halvings > 1 else picture, (max(1, width >> halvings), max(1, height >> halvings))
    )
    code = _COLOURS.get(order)
    light = cv2.LUT(small if code is None else cv2.cvtColor(small, code), _LIGHT)
    around = cv2.blur(light, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REFLECT)
    return np.asarray(light - around, np.float32)


def _row_means(difference: Floats) -> Floats:
    """Return the mean of each row, in which what moves counts little."""
    clipped = np.clip(difference, -_FLICKER, _FLICKER)
    return np.asarray(cv2.reduce(clipped, 1, cv2.REDUCE_AVG), np.float32)


def _together(changed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the changed cells that are not alone, with what they enclose."""
    if np.count_nonzero(changed) < _NEIGHBOURS:
        return np.zeros_like(changed)
    near = cv2.blur(changed.astype(np.float32), (3, 3), borderType=cv2.BORDER_CONSTANT)
    kept = (changed & (near > (_NEIGHBOURS - 0.5) / 9)).astype(np.uint8)
    if not kept.any():
        return kept.astype(np.bool_)
    kernel = np.ones((_WINDOW, _WINDOW), np.uint8)
    return np.asarray(cv2.morphologyEx(kept, cv2.MORPH_CLOSE, kernel), np.bool_)
