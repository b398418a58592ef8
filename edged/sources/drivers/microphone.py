"""A microphone, through ALSA's ``arecord``: windows of sound, as long as the model wants them.

::

    arecord ─pipe─▶ Recorder ─▶ [Resampler] ─▶ Cutter ─▶ windows that wait ─▶ one at a time, oldest first
    a child of this worker      where it records at another rate than was requested

The sound stays in this process: what leaves it are labels, and with each event how loud the window was. A
microphone that falls silent is started anew; one that was unplugged is opened again when it is back.
"""

from __future__ import annotations

import logging
import select
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

from pydantic import Field, StringConstraints

from edged.errors import Reason, Unavailable
from edged.sources import FeedSource, Hint, Offer, Viewing, Window, sound_cards
from edged.sources.arecord import Recorder
from edged.sources.sound_config import SoundConfig
from edged.sources.window_queue import OLD_S, WindowQueue
from edged.system import clock
from edged.system.needs import Needs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from edged.sources.resampling import Resampler
    from edged.sources.sound_windows import Cut, Cutter

log = logging.getLogger(__name__)

_POLL_S = 0.02
_MEASURED_S = 5.0  # for which samples are counted before their rate is believed
_SAME, _NEAR = 1.25, 1.05  # factors within which a rate is the expected one, or a usual one
_USUAL_HZ = (8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000)
_SETTINGS = ("/etc/asound.conf", "/etc/alsa")

ALSO_CALLED = ("mic", "arecord", "alsa", "audio", "soundcard")


class Config(SoundConfig):
    """The keys of ``kind: microphone``."""

    kind: Literal["microphone"] = Field(default="microphone", description="the driver: microphone")
    device: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^-\s]\S*$")] = Field(
        examples=["plughw:CARD=Device"],
        default="auto",
        description="auto (the first one), a path below /dev/snd/by-id, or a name that arecord -L lists; "
        "plughw: converts what the card itself does not offer",
    )
    program: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^-]")] = Field(
        default="arecord", description="the program that records; another one takes the same options"
    )

    @property
    def every_s(self) -> float:
        """The time from the start of a window to the next."""
        return self.hop_known_s

    @property
    def holds(self) -> Mapping[str, str]:
        """The device, which only one program can record from, unless ALSA shares it."""
        return {"device": self.device}


def needs(config: Config) -> Needs:
    """Return the sound cards, ALSA's settings and the program."""
    program = shutil.which(config.program) or config.program
    return Needs(files=_SETTINGS, devices=("/dev/snd/*",), programs=(program,))


def find(root: Path) -> list[Offer]:
    """Return the microphones that ALSA lists."""
    return [
        Offer({"device": found.device}, found.name, found.device, (*found.aliases, *_first(number)))
        for number, found in enumerate(sound_cards.find(root))
    ]


def _first(number: int) -> tuple[str, ...]:
    return () if number else ("auto",)


def recognise(text: str, viewing: Viewing) -> Offer | None:
    """Return the microphone where the text is ``microphone``, or an ALSA name such as ``plughw:1``."""
    del viewing
    if text in {"microphone", "mic"}:
        return Offer({}, "the microphone")
    named = text.startswith(("plughw:", "hw:", "sysdefault:", "dsnoop:", "/dev/snd/"))
    return Offer({"device": text}, text, text) if named else None


def create(config: Config, hint: Hint) -> FeedSource:
    """Return the source; the hint has the length of the model's input."""
    return Microphone(config, hint)


class _Waiting(NamedTuple):
    cut: Cut
    ends_at: float  # monotonic time of its last sample, in s


class Microphone:
    """Gives windows of what a microphone hears.

    Attributes:
        begun: sound comes.
        dropped: ``skipped``: windows for which the model had no time; ``overrun``: places at which the card
            lost samples.
    """

    def __init__(
        self, config: Config, hint: Hint, *, monotonic: Callable[[], float] = clock.monotonic
    ) -> None:
        self._config, self._hint = config, hint
        self._monotonic = monotonic
        self._steps, hop = config.lengths(hint)
        self._recorder: Recorder | None = None
        self._cutter: Cutter | None = None
        self._resampler: Resampler | None = None
        self._meter = _RateMeter(config.rate_hz)
        self._heard_at = 0.0
        self._stalled = False
        self._number = 0
        self.dropped: Counter[str] = Counter()
        most = round(OLD_S / max(hop, 1) / config.row_s)
        self._waiting: WindowQueue[_Waiting] = WindowQueue(hop * config.row_s, self.dropped, most)

    @property
    def begun(self) -> bool:
        """Return whether sound comes."""
        return self._recorder is not None and self._recorder.heard and not self._stalled

    def open(self) -> None:
        """Start to record."""
        from edged.sources.sound_windows import cutter

        self.close()
        if self._steps < 1:
            raise Unavailable(Reason.ABSENT, "nothing gives the length of a window: write window_s")
        if sound_cards.denied():
            what = "no sound card may be opened: its user needs the group audio: sudo usermod -aG audio USER"
            raise Unavailable(Reason.DENIED, what)
        config = self._config
        device = sound_cards.resolved(config.device)
        shown = f"the microphone {config.device if config.device != 'auto' else device}"
        self._recorder = Recorder(config.program, device, shown, config.rate_hz)
        self._cutter = cutter(config, self._hint)
        self._stalled = False
        self._start()

    def _start(self) -> None:
        if self._recorder is not None:
            self._recorder.start()
        self._record_at(self._config.rate_hz)
        self._heard_at = self._monotonic()

    def read(self, timeout_s: float) -> Window | None:
        """Return the oldest window that waits and is not out of date."""
        deadline = self._monotonic() + timeout_s
        while True:
            now = self._take()
            waiting = self._waiting.next(now)
            if waiting is not None:
                return self._give(waiting, now)
            if now >= deadline:
                return None
            if self._recorder is not None:
                select.select([self._recorder.readable], [], [], min(_POLL_S, deadline - now))

    def idle(self, keep: int | None) -> None:
        """Take in the sound; keep the newest windows that may still be needed."""
        self._waiting.idle(self._take(), keep)

    def close(self) -> None:
        """End the program, and forget the sound."""
        if self._recorder is not None:
            self._recorder.stop()
        self._recorder = self._cutter = None
        self._waiting.clear()

    def _take(self) -> float:
        """Take in the sound that has come; return the time.

        Raises:
            Unavailable: TIMEOUT: no sound comes, though it was started anew; else the recorder has ended.
        """
        recorder, cutter = self._recorder, self._cutter
        if recorder is None or cutter is None:
            raise Unavailable(Reason.LOST, "the microphone is not open")
        data = recorder.take()
        now = self._monotonic()
        if recorder.overruns:
            self.dropped["overrun"] += recorder.overruns
            recorder.overruns = 0
            cutter.gap()
            self._meter.restart()
        if recorder.given_hz != self._meter.expected_hz:
            self._record_at(recorder.given_hz)
        if data:
            self._heard_at, self._stalled = now, False
            self._add(data, now, recorder, cutter)
        elif now - self._heard_at > self._hint.patience_s:
            self._stalled = True
            cutter.gap()
            log.info("the microphone gives no sound; starting %s again", self._config.program)
            self._start()
        if self._stalled:
            what = f"the microphone has given no sound for {self._hint.patience_s:g} s; starting it again"
            raise Unavailable(Reason.TIMEOUT, what)
        return now

    def _add(self, data: bytes, now: float, recorder: Recorder, cutter: Cutter) -> None:
        from edged.sources.wav_file import decode

        samples = decode(data, 16, is_float=False)
        if rate_hz := self._meter.add(len(samples), now):
            recorder.given_hz = rate_hz
            self._record_at(rate_hz)
        if self._resampler is not None:
            samples = self._resampler.add(samples)
        for cut in cutter.add(samples):
            self._waiting.add(_Waiting(cut, now - max(0.0, cutter.came_s - cut.ends_s)))

    def _record_at(self, given_hz: int) -> None:
        """Take the sound as recorded at this rate from now on."""
        from edged.sources.resampling import Resampler

        wanted_hz = self._config.rate_hz
        self._meter = _RateMeter(given_hz)
        self._resampler = None
        if given_hz != wanted_hz:
            log.warning(
                "the microphone records at %d Hz though %d were requested: converted; "
                "plughw: in place of hw: lets ALSA do it",
                given_hz,
                wanted_hz,
            )
            self._resampler = Resampler(given_hz, wanted_hz)
            if self._cutter is not None:
                self._cutter.gap()

    def _give(self, waiting: _Waiting, now: float) -> Window:
        cut = waiting.cut
        self._number += 1
        captured_at = clock.wall() - max(0.0, now - waiting.ends_at)
        level = round(cut.level_dbfs, 1)
        return Window(cut.values, captured_at, cut.begins, self._number - 1, level, cut.ends_s)


class _RateMeter:
    """Measures the rate at which samples come, since some cards record at another one than they report.

    Attributes:
        expected_hz: the rate that they should have.
    """

    def __init__(self, expected_hz: int) -> None:
        self.expected_hz = expected_hz
        self._began: float | None = None
        self._count = 0
        self._settled = False

    def restart(self) -> None:
        """Begin to count anew: samples were lost."""
        self._began, self._count = None, 0

    def add(self, count: int, now: float) -> int:
        """Count samples; return the rate that they have where it is another one than expected; else 0.

        Raises:
            Unavailable: LOST: they come at a rate that no sound card has.
        """
        if self._settled:
            return 0
        if self._began is None:
            self._began = now  # those that came before belong to an earlier time
            return 0
        self._count += count
        took_s = now - self._began
        if took_s < _MEASURED_S:
            return 0
        self._settled = True
        measured = self._count / took_s
        if 1 / _SAME < measured / self.expected_hz < _SAME:
            return 0
        usual = min(_USUAL_HZ, key=lambda rate: abs(rate - measured))
        if 1 / _NEAR < measured / usual < _NEAR:
            return usual
        what = f"{measured:.0f} samples a second come from the microphone, not {self.expected_hz}"
        raise Unavailable(Reason.LOST, f"{what}; opening it again")
