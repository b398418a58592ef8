"""The frames of a recording, upright, each with the time at which it was recorded.

The rate that a file states is an average: phones record at a variable one, and a time lapse has a frame in
ten seconds. So the time of a frame is what the file has for that frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.sources import display_matrix, orientation

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_PERIOD_S = 1 / 25  # where the file has neither times nor a rate
_SILENT = 0  # OpenCV's log level
_TURNED = {90: 6, 180: 3, 270: 8}  # degrees clockwise: the number of the orientation


class Recording:
    """A video file, always at its next frame.

    Attributes:
        at_s: the time of the next frame since the first one, in s; it goes on when the file begins again.
        ended: there is no next frame.
        index: the number of the next frame in the file.

    Args:
        path: the file.
        loop: begin again at the end.
        start: the number of the first frame to give; where the file has no such frame, it is the first.

    Raises:
        Unavailable: it holds no video.
    """

    def __init__(self, path: Path, *, loop: bool, start: int = 0) -> None:
        self._path = path
        self._loop = loop
        self._first_s = 0.0  # of this round, in the file's own time
        self._round_s = 0.0  # when this round began
        self.at_s = 0.0
        self.ended = False
        self._open(start)
        if self.ended and start:
            self.close()
            self._open()
        if self.ended:
            self.close()
            raise Unavailable(Reason.ABSENT, f"{path} contains no video that FFmpeg can read")

    def take(self) -> NDArray[np.uint8]:
        """Return the next frame, BGR, and go on to the one after it.

        Raises:
            Unavailable: LOST: it cannot be decoded.
        """
        ok, found = self._capture.retrieve()
        if not ok:
            raise Unavailable(Reason.LOST, f"{self._path}: a frame cannot be decoded")
        pixels = orientation.turn(found, self._orientation)
        self._advance()
        if self.ended and self._loop:
            self.close()
            self._round_s = self.at_s + self._period_s
            self._open()
        return pixels

    def skip(self) -> None:
        """Go on to the frame after the next one, which is not decoded further than that needs."""
        self._advance()

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _open(self, start: int = 0) -> None:
        import cv2

        cv2.setLogLevel(_SILENT)
        self._capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG)
        # OpenCV turns the frames or not, depending on its version: here it does not.
        self._capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        turned = int(self._capture.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        self._orientation = display_matrix.orientation(self._path) or _TURNED.get(turned, orientation.UPRIGHT)
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        self._period_s = 1 / fps if 0 < fps <= 1000 else _PERIOD_S
        if start:
            self._capture.set(cv2.CAP_PROP_POS_FRAMES, start)
        self.index = start
        self.ended = not self._capture.grab()
        self._first_s = self._own_s()
        self.at_s = self._round_s

    def _advance(self) -> None:
        self.index += 1
        self.ended = not self._capture.grab()
        if self.ended:
            return
        at_s = self._round_s + self._own_s() - self._first_s
        # A file without times, or with times that go back: its rate has to do.
        self.at_s = at_s if at_s > self.at_s else self.at_s + self._period_s

    def _own_s(self) -> float:
        import cv2

        return float(self._capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
