"""Recordings in their own time: what is between two pictures passes on a clock that nobody waits for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from edged.errors import Reason, Unavailable
from edged.sources import Frame, Text, Window
from edged.sources.recording import Recording
from edged.system import clock
from edged.system.files import open_regular

if TYPE_CHECKING:
    from pathlib import Path

    from edged.sources import FeedSource, Source

_MOST_TEXT = 64_000_000  # bytes of a file of lines


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


class Heard:
    """Windows of sound, in the time at which each ends.

    Args:
        feed: gives them, as fast as they are taken.
        time: goes on with them.
    """

    def __init__(self, feed: FeedSource, time: RecordedTime) -> None:
        self._feed = feed
        self._time = time
        self.dropped = feed.dropped

    @property
    def begun(self) -> bool:
        """Return whether it is open."""
        return self._feed.begun

    def open(self) -> None:
        """Open the file or folder."""
        self._feed.open()

    def read(self, timeout_s: float) -> Window | None:
        """Return the next window; its name is the time of its end."""
        window = self._feed.read(timeout_s)
        if not isinstance(window, Window):
            return None
        self._time.reach(window.ends_s)
        return replace(window, name=_shown(window.ends_s))

    def idle(self, keep: int | None) -> None:
        """Do nothing: a recording waits."""

    def close(self) -> None:
        """Close it."""
        self._feed.close()


class Written:
    """The lines of a file that is complete, an interval apart.

    Args:
        path: the file; None: it is a program's output, which is not a recording.
        interval_s: between two lines, in s.
        longest: characters of a line that are read.
        time: goes on with the lines.
    """

    def __init__(self, path: Path | None, interval_s: float, longest: int, time: RecordedTime) -> None:
        self._path = path
        self._interval_s = interval_s
        self._longest = longest
        self._time = time
        self._lines: list[tuple[int, str]] | None = None
        self._given = 0
        self.dropped: Counter[str] = Counter()

    @property
    def begun(self) -> bool:
        """Return whether it is open."""
        return self._lines is not None

    def open(self) -> None:
        """Read the file."""
        if self._path is None:
            raise Unavailable(Reason.ABSENT, "what a program prints is not a recording: name a file of lines")
        try:
            with open_regular(self._path) as file:
                text = file.read(_MOST_TEXT).decode("utf-8", "replace")
        except OSError as error:
            raise Unavailable(
                Reason.ABSENT, f"{self._path}: {(error.strerror or str(error)).lower()}"
            ) from None
        lines = ((number, line.strip()) for number, line in enumerate(text.split("\n"), 1))
        self._lines = [(number, line[: self._longest]) for number, line in lines if line]
        self._given = 0

    def read(self, timeout_s: float) -> Text | None:
        """Return the next line; its name is its number."""
        del timeout_s  # nothing is waited for
        if self._lines is None:
            raise Unavailable(Reason.LOST, f"{self._path}: not open")
        if self._given == len(self._lines):
            raise Unavailable(Reason.ENDED, f"{self._path}: that was the last line")
        import numpy as np

        number, line = self._lines[self._given]
        self._time.reach(self._given * self._interval_s)
        self._given += 1
        return Text(np.array([line]), clock.wall(), self._given - 1, name=f"line {number}")

    def idle(self, keep: int | None) -> None:
        """Do nothing: a recording waits."""

    def close(self) -> None:
        """Forget the lines."""
        self._lines = None


def _shown(at_s: float) -> str:
    minutes, hundredths = divmod(round(at_s * 100), 6000)
    return f"{minutes:02d}:{hundredths / 100:05.2f}"
