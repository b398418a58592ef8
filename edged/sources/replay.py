"""Recordings in their own time: what is between two pictures passes on a clock that nobody waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.sources import Frame
from edged.sources.recording import Recording
from edged.system import clock

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import Source


class RecordedTime:
    """A clock that stands still until the recording goes on."""

    def __init__(self) -> None:
        self._at_s = 0.0

    def now(self) -> float:
        """Return the time, in s."""
        return self._at_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self._at_s += seconds

    def reach(self, at_s: float) -> None:
        """Go on to a time; it never goes back."""
        self._at_s = max(self._at_s, at_s)


class Footage:
    """A video, of which it gives the first frame after each interval.

    Args:
        path: the file.
        interval_s: between two frames, in s of the recording; 0: give every frame.
        time: goes on with the recording.
    """

    live = False

    def __init__(self, path: Path, interval_s: float, time: RecordedTime) -> None:
        self._path = path
        self._interval_s = interval_s
        self._time = time
        self._due_s = 0.0
        self._number = 0
        self._recording: Recording | None = None

    def open(self) -> None:
        """Open the file."""
        if not self._path.is_file():
            raise Unavailable(Reason.ABSENT, f"there is no file {self._path}")
        self._recording = Recording(self._path, loop=False)

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next frame that is due; its name is its time."""
        del timeout_s  # nothing is waited for
        recording = self._recording
        if recording is None:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        while not recording.ended and recording.at_s < self._due_s:
            recording.skip()
            self._number += 1
        if recording.ended:
            raise Unavailable(Reason.ENDED, f"{self._path}: that was the last frame")
        at_s = recording.at_s
        self._time.reach(at_s)
        self._due_s = max(self._due_s + self._interval_s, at_s)
        self._number += 1
        return Frame(recording.take(), clock.wall(), number=self._number - 1, name=_shown(at_s))

    def close(self) -> None:
        """Close the file."""
        if self._recording is not None:
            self._recording.close()
        self._recording = None


class Spaced:
    """Photographs that are an interval apart.

    Args:
        source: gives them.
        interval_s: between two of them, in s.
        time: goes on with them.
    """

    live = False

    def __init__(self, source: Source, interval_s: float, time: RecordedTime) -> None:
        self._source = source
        self._interval_s = interval_s
        self._time = time

    def open(self) -> None:
        """Open the folder."""
        self._source.open()

    def read(self, timeout_s: float) -> Frame | None:
        """Return the next photograph."""
        frame = self._source.read(timeout_s)
        if frame is not None:
            self._time.reach(frame.number * self._interval_s)
        return frame

    def close(self) -> None:
        """Close the folder."""
        self._source.close()


def _shown(at_s: float) -> str:
    minutes, hundredths = divmod(round(at_s * 100), 6000)
    return f"{minutes:02d}:{hundredths / 100:05.2f}"
