"""Records with ``arecord`` as a child: sound comes through a pipe, trouble is printed on standard error.

A driver of a sound card may hang or crash: in a child it costs a restart. The child lives behind the same
walls as its worker, and in its process group, which the fork server ends where the worker was killed: a child
that hangs writes nothing, so the closed pipe would not end it. No sound touches a disk.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from edged.errors import DeviceBusy, Reason, Unavailable
from edged.system import programs

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 1 << 16  # bytes: what a pipe holds, 2 s at 16 kHz
_LONGEST = 4096  # characters of standard error that are kept
_SHOWN = 200
_ENDS_S = 2.0
_INACCURATE = re.compile(r"rate is not accurate \(requested = (\d+)\s*Hz, got = (\d+)\s*Hz\)")
_OVERRUN = re.compile(r"^overrun!!!", re.MULTILINE)
_PREFIX = re.compile(r"^(?:\S*arecord: )?(?:[a-z_]+:\d+: )?")
_FORBIDDEN = (
    "the service may not open it: write DeviceAllow=char-alsa rw below [Service] with "
    "sudo systemctl edit edged-workers, and restart edged"
)
# What ALSA prints, in English as LC_ALL says, and what to do; the first that is found counts.
_TROUBLE: tuple[tuple[str, Reason, str], ...] = (
    ("Device or resource busy", Reason.BUSY, "another program records from it: fuser -v /dev/snd/*"),
    ("Permission denied", Reason.DENIED, "its user needs the group audio: sudo usermod -aG audio USER"),
    (
        "Operation not permitted",
        Reason.DENIED,
        _FORBIDDEN,
    ),
    (
        "IPC semaphore",
        Reason.ABSENT,
        "it shares its card with others, which walls forbid: write plughw:CARD=…",
    ),
    (
        "Channels count non available",
        Reason.ABSENT,
        "it does not record in mono: write plughw: in place of hw:",
    ),
    (
        "Sample format non available",
        Reason.ABSENT,
        "it does not record 16 bits: write plughw: in place of hw:",
    ),
    ("Unknown PCM", Reason.ABSENT, "ALSA has no device of that name: arecord -L lists them"),
    ("No such file or directory", Reason.ABSENT, "there is no such card: plug it in, or correct `device`"),
    ("No such device", Reason.ABSENT, "there is no such card: plug it in, or correct `device`"),
    ("cannot find card", Reason.ABSENT, "there is no such card: plug it in, or correct `device`"),
)


class Recorder:
    """One ``arecord``.

    Attributes:
        heard: bytes have come since it was started.
        overruns: how often it reported that samples are lost; the reader clears it.
        given_hz: the rate that it reports to record at.

    Args:
        program: ``arecord``, or the path of a program that takes the same options.
        device: ALSA's name of the device.
        shown: the device as it is configured, for messages.
        rate_hz: samples a second.
    """

    def __init__(self, program: str, device: str, shown: str, rate_hz: int) -> None:
        self._program, self._device, self._shown, self._rate_hz = program, device, shown, rate_hz
        self._process: subprocess.Popen[bytes] | None = None
        self._sound = self._errors = -1
        self._printed = ""
        self._odd = b""  # half a sample
        self.heard = False
        self.overruns = 0
        self.given_hz = rate_hz

    def start(self) -> None:
        """Start to record.

        Raises:
            Unavailable: the program is missing, or may not be started.
        """
        self.stop()
        path = shutil.which(self._program)
        if path is None:
            what = f"there is no program {self._program}: sudo apt install alsa-utils"
            raise Unavailable(Reason.ABSENT, what)
        sound, errors = _pipe(), _pipe()
        self._sound, self._errors = sound[0], errors[0]
        try:
            self._process = subprocess.Popen(
                [path, *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=sound[1],
                stderr=errors[1],
                env={**os.environ, "LC_ALL": "C"},
            )
        except OSError as error:
            self.stop()
            what = f"{self._program} cannot be started: {error.strerror}"
            raise Unavailable(Reason.DENIED, what) from None
        finally:
            os.close(sound[1])
            os.close(errors[1])
        self.heard, self.given_hz, self._printed, self._odd = False, self._rate_hz, "", b""

    def _options(self) -> Sequence[str]:
        return ("-D", self._device, "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", str(self._rate_hz))

    def take(self) -> bytes:
        """Return the sound that has come, in whole samples of 16 bits; empty where none has.

        Raises:
            Unavailable: it has ended; the sentence has its reason.
        """
        self._listen()
        data = _read(self._sound)
        if data is None:  # the pipe's other end is closed
            raise self._ended()
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        self.heard = self.heard or whole > 0
        return data[:whole]

    def stop(self) -> None:
        """End it, however it hangs; may be called twice."""
        if self._process is not None:
            programs.end(self._process)
        for descriptor in (self._sound, self._errors):
            if descriptor >= 0:
                os.close(descriptor)
        self._process, self._sound, self._errors = None, -1, -1

    @property
    def readable(self) -> int:
        """The descriptor on which sound comes."""
        return self._sound

    def _listen(self) -> None:
        """Take in what it printed."""
        printed = _read(self._errors)
        if not printed:
            return
        text = printed.decode("utf-8", "replace")
        self.overruns += len(_OVERRUN.findall(text))
        if inaccurate := _INACCURATE.search(text):
            self.given_hz = int(inaccurate[2])
        self._printed = (self._printed + text)[-_LONGEST:]

    def _ended(self) -> Unavailable:
        status = None
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self._process.wait(_ENDS_S)
        self._listen()
        for words, reason, hint in _TROUBLE:
            if words in self._printed:
                if reason is Reason.BUSY:
                    return DeviceBusy(f"{self._shown}: {hint}")
                lost = self.heard and reason is Reason.ABSENT
                return Unavailable(
                    Reason.LOST if lost else reason,
                    f"{self._shown} was unplugged" if lost else f"{self._shown}: {hint}",
                )
        return Unavailable(Reason.LOST, f"{self._shown}: {self._last_words(status)}")

    def _last_words(self, status: int | None) -> str:
        lines = [line.strip() for line in self._printed.splitlines() if line.strip()]
        said = [_PREFIX.sub("", line) for line in lines if not line.startswith(("Recording", "overrun!!!"))]
        how = (
            f"was ended by signal {-status}" if status is not None and status < 0 else f"ended with {status}"
        )
        return f"{self._program} {how}" + (f": {said[-1][:_SHOWN]}" if said else "")


def _pipe() -> tuple[int, int]:
    read, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    os.set_blocking(write, True)
    return read, write


def _read(descriptor: int) -> bytes | None:
    """Return what is there; None where nothing will come any more."""
    if descriptor < 0:
        return b""
    try:
        return os.read(descriptor, CHUNK) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None
