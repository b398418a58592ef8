"""Sound files (.wav): one, or all of a folder in the order of their names.

A file is given as fast as the model takes it, or with ``realtime`` as it was recorded. Another sample rate is
converted, several channels are mixed down. A file that cannot be read is left out by name; so is one that is
cut short, until it is whole.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from edged.errors import Reason, Unavailable
from edged.sources import FeedSource, Hint, Offer, Viewing, Window, sound_names
from edged.sources.replay import Heard
from edged.sources.sound_config import SoundConfig
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.sources.replay import RecordedTime
    from edged.sources.sound_windows import Cut
    from edged.sources.wav_file import WavFile

log = logging.getLogger(__name__)

_BLOCK_S = 1.0  # of a file that is read at once
_POLL_S = 0.02

ALSO_CALLED = ("wav", "wave", "sounds", "audiofile")


class Config(SoundConfig):
    """The keys of ``kind: sound``."""

    numbered: ClassVar[bool] = True

    kind: Literal["sound"] = Field(default="sound", description="the driver: sound")
    path: Path = Field(
        description="a .wav file, or a folder of them (8, 16, 24, 32 bits or floats, any rate)"
    )
    loop: bool = Field(default=False, description="true: start again after the last file; false: stop there")
    realtime: bool = Field(
        default=False,
        description="true: at the speed of the recording; false: every window, as fast as the model can",
    )

    @property
    def every_s(self) -> float:
        """The time from the start of a window to the next; 0: as fast as the model can."""
        return self.hop_known_s if self.realtime else 0.0


def needs(config: Config) -> Needs:
    """Return the file or the folder."""
    return Needs(files=(str(config.path),))


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the sound where the text is the path of a .wav file, or of a folder that has some."""
    path = Path(text)
    if not (
        sound_names.listed(path) if path.is_dir() else path.is_file() and sound_names.is_sound(path.name)
    ):
        return None
    keys = {"path": str(path.absolute()), "loop": viewing.repeat, "realtime": viewing.live}
    return Offer(keys, text, text)


def create(config: Config, hint: Hint) -> FeedSource:
    """Return the source; the hint has the length of the model's input."""
    return Sound(config, hint)


def recorded(config: Config, hint: Hint, time: RecordedTime) -> FeedSource:
    """Return the windows of the files, each in the time of the recording at which it ends."""
    return Heard(Sound(config, hint), time)


class Sound:
    """Gives windows of sound files.

    Attributes:
        begun: it is open.
        dropped: ``invalid``: files that cannot be read; ``skipped``: windows whose time has passed.
    """

    def __init__(
        self,
        config: Config,
        hint: Hint,
        *,
        monotonic: Callable[[], float] = clock.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._config = config
        self._monotonic, self._sleep = monotonic, sleep
        self._steps, hop = config.lengths(hint)
        self._hop_s, self._hint = hop * config.row_s, hint
        self._windows: Iterator[Cut] | None = None
        self._next: Cut | None = None
        self._left_out: dict[Path, str] = {}
        self._ended = False
        self._began = 0.0
        self._number = 0
        self.dropped: Counter[str] = Counter()

    @property
    def begun(self) -> bool:
        """Return whether it is open."""
        return self._windows is not None

    def open(self) -> None:
        """Check that there is something to read, and begin with the first file."""
        self.close()
        path = self._config.path
        if self._steps < 1:
            raise Unavailable(Reason.ABSENT, "nothing gives the length of a window: write window_s")
        if not path.exists():
            raise Unavailable(Reason.ABSENT, f"there is no {path}; create it or correct `path`")
        if not os.access(path, os.R_OK):
            raise Unavailable(Reason.DENIED, f"{path} cannot be read; give the user of edged read access")
        self._windows = self._all()
        self._began = self._monotonic()
        self._number, self._ended = 0, False
        self._advance()
        if self._next is None:
            raise self._nothing()

    def read(self, timeout_s: float) -> Window | None:
        """Return the next window; None where none is due within ``timeout_s``."""
        if self._windows is None:
            raise Unavailable(Reason.LOST, f"{self._config.path}: not open")
        if self._ended and self._config.loop:
            raise self._nothing()  # whatever was there is gone
        if self._ended:
            last = f"{self._config.path}: that was the last of {self._number} windows"
            raise Unavailable(Reason.ENDED, last)
        cut = self._next
        if cut is None or not self._is_due(cut, timeout_s):
            return None
        self._advance()
        self._number += 1
        level = round(cut.level_dbfs, 1)
        return Window(cut.values, clock.wall(), cut.begins, self._number - 1, level, cut.ends_s)

    def idle(self, keep: int | None) -> None:
        """Let windows pass whose time is over, where they have one."""
        if not self._config.realtime or keep is None or self._windows is None:
            return
        while self._next is not None and self._late_s(self._next) > self._hop_s:
            self._advance()
            self._number += 1
            self.dropped["skipped"] += 1

    def close(self) -> None:
        """Close the file."""
        self._windows, self._next = None, None

    def _advance(self) -> None:
        self._next = next(self._windows, None) if self._windows is not None else None
        self._ended = self._next is None

    def _is_due(self, cut: Cut, timeout_s: float) -> bool:
        if not self._config.realtime:
            return True
        wait_s = -self._late_s(cut)
        if wait_s > 0:
            self._sleep(min(wait_s, timeout_s))
        return wait_s <= timeout_s

    def _late_s(self, cut: Cut) -> float:
        return self._monotonic() - self._began - cut.ends_s

    def _all(self) -> Iterator[Cut]:
        """Give the windows of all files, again and again where they loop."""
        offset_s = 0.0
        while True:
            gave = False
            for path in self._files():
                ends_s = 0.0
                for cut in self._of(path):
                    gave, ends_s = True, cut.ends_s
                    yield cut._replace(ends_s=offset_s + cut.ends_s)
                offset_s += ends_s
            if not (gave and self._config.loop):
                return

    def _files(self) -> list[Path]:
        path = self._config.path
        return sound_names.listed(path) if path.is_dir() else [path]

    def _of(self, path: Path) -> Iterator[Cut]:
        """Give the windows of one file; one that cannot be read is left out and named."""
        from edged.sources.wav_file import WavFile

        try:
            file = WavFile(path)
        except OSError as error:
            self._leave_out(path, error.strerror or str(error))
            return
        self._left_out.pop(path, None)
        try:
            yield from self._cut(file)
        except OSError as error:
            self._leave_out(path, error.strerror or str(error))
        finally:
            file.close()

    def _cut(self, file: WavFile) -> Iterator[Cut]:
        from edged.sources import sound_windows
        from edged.sources.resampling import Resampler

        given_hz, wanted_hz = file.header.rate_hz, self._config.rate_hz
        cutter = sound_windows.cutter(self._config, self._hint)
        try:
            resampler = Resampler(given_hz, wanted_hz) if given_hz != wanted_hz else None
        except ValueError as error:
            raise OSError(str(error)) from None
        while len(samples := file.read(round(_BLOCK_S * given_hz))):
            yield from cutter.add(resampler.add(samples) if resampler is not None else samples)
        if resampler is not None:
            yield from cutter.add(resampler.end())
        yield from cutter.rest()

    def _leave_out(self, path: Path, why: str) -> None:
        self.dropped["invalid"] += 1
        if self._left_out.get(path) != why:
            self._left_out[path] = why
            log.warning("%s is left out: %s", path, why)

    def _nothing(self) -> Unavailable:
        path = self._config.path
        if not self._left_out:
            return Unavailable(Reason.ABSENT, f"there is no .wav file in {path}")
        first, why = next(iter(self._left_out.items()))
        if first == path:
            return Unavailable(Reason.ABSENT, f"{path} cannot be read: {why}")
        more = f"; {len(self._left_out) - 1} more are left out" if len(self._left_out) > 1 else ""
        return Unavailable(
            Reason.ABSENT, f"no sound in {path} can be read: {first.name} is left out: {why}{more}"
        )
