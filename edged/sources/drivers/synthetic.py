"""A computed moving pattern: to try edged without a camera, and the template for your own driver.

To add a driver, copy this file to ``edged/sources/drivers/NAME.py``. Then ``kind: NAME`` works in the
configuration, in its schema and in ``edged check``, and the conformance test finds it. A driver has four
parts:

1. A docstring, whose first line is the driver's help text.
2. ``Config``: its keys. Each description names the unit; together they are the reference page.
3. ``create``, which builds the source and touches no device, so that ``edged check`` can run anywhere.
4. A class with ``open``, ``read``, ``close`` and ``live``. Import numpy and vendor modules inside ``open``:
   the main process loads this file too, for its ``Config``, and must not load them.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sources import Frame, Hint, Offer, Size, Source, SourceConfig, Viewing
from edged.sources.pacing import Pace
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray


class Config(SourceConfig):
    """The keys of ``kind: synthetic``."""

    kind: Literal["synthetic"] = Field(default="synthetic", description="the driver: synthetic")
    size: Size = Field(default=(640, 480), description="[width, height] of the picture in pixels")
    fps: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None = Field(
        default=None,
        description="frames per second of the simulated camera; default: as fast as possible",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(
        default=0, description="seed of the pattern; the same seed gives the same pictures"
    )
    fault: Literal["none", "hang", "vanish", "frozen", "black", "garbage", "crash"] = Field(
        default="none",
        description="fault to simulate after `fault_after` frames: hang (read never returns), vanish (the "
        "device is unplugged), frozen (the same picture), black, garbage (not a picture), crash (abort)",
    )
    fault_after: Annotated[int, Field(ge=0)] = Field(
        default=10, description="number of frames before the fault, counted from each open"
    )


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the pattern where the text is this driver's name."""
    keys = {"fps": 30} if viewing.live else {}
    return Offer(keys, f"a {text} pattern") if text == __name__.rpartition(".")[2] else None


def needs(config: Config) -> Needs:
    """Return nothing: the pictures are made here."""
    del config
    return Needs()


def create(config: Config, hint: Hint) -> Source:
    """Return the source; the hint is for drivers whose hardware can scale."""
    del hint
    return Synthetic(config)


class Synthetic:
    """A drifting texture: no two frames in a row are equal, and frame n of a seed is always the same."""

    live = True  # like a camera: the same picture many times in a row is a fault

    def __init__(
        self,
        config: Config,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._pace = Pace(monotonic, sleep)
        self._pattern: NDArray[np.uint8] | None = None
        self._number = 0

    def open(self) -> None:
        """Compute the pattern once, and put it twice, one above the other: a picture is a part of that."""
        import numpy as np  # here and not above: see the docstring of the module

        width, height = self._config.size
        random = np.random.default_rng(self._config.seed)
        phase = random.uniform(0, 2 * np.pi, 3)
        across = 127 + 70 * np.sin(np.arange(width)[:, None] * (4 * np.pi / width) + phase)
        down = 40 * np.cos(np.arange(height)[:, None] * (6 * np.pi / height) - phase)
        pattern = np.empty((2, height, width, 3), np.uint8)
        for row in range(
            height
        ):  # row by row: arrays of numbers for the whole picture would take ten times the memory
            noise = random.integers(-16, 17, across.shape, dtype=np.int16)
            pattern[:, row] = np.clip(across + down[row] + noise, 0, 255)
        pattern.flags.writeable = False  # frames are views of it, and a frame must not change
        self._pattern = pattern.reshape(2 * height, width, 3)
        self._number = 0
        self._pace.begin(1 / self._config.fps if self._config.fps is not None else 0)

    def read(self, timeout_s: float) -> Frame:
        """Return the next picture, or the one that is due where ``fps`` is set."""
        if self._pattern is None:
            raise Unavailable(Reason.LOST, "the synthetic source is not open")
        skipped = self._pace.wait(timeout_s)
        number = self._number + skipped
        self._number = number + 1
        return Frame(self._picture(self._pattern, number), clock.wall(), number=number, skipped=skipped)

    def close(self) -> None:
        """Drop the pattern."""
        self._pattern = None

    def _picture(self, pattern: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
        height = self._config.size[1]
        fault = self._config.fault if number >= self._config.fault_after else "none"
        if fault == "frozen":
            number = self._config.fault_after
        elif fault != "none":
            return _break(fault, pattern[:height])
        above = 7 * number % height
        return pattern[above : above + height]


def _break(fault: str, pattern: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Fail as real cameras and their libraries fail."""
    import numpy as np

    if fault == "hang":
        threading.Event().wait()  # as in the kernel: for ever, whatever the timeout
    if fault == "crash":
        os.abort()  # as a C++ library does
    if fault == "vanish":
        raise Unavailable(Reason.LOST, "the synthetic source was unplugged")
    if fault == "garbage":
        return pattern.reshape(1, -1)  # as OpenCV returns an unknown pixel format
    return np.zeros_like(pattern)
