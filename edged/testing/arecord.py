"""A double of ``arecord``: a program that keeps time, and that stalls, loses samples and dies when told to.

The real one reads a file faster than time passes (ALSA's ``file`` plugin), and neither stalls nor ends.

It runs inside the walls of a worker, where it reaches no other file than itself: so what it does is written
in its own last line, which :meth:`FakeRecorder.does` replaces while it runs.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """#!{python}
import array, math, os, sys, time
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
rate = int(given["-r"])
assert given["-f"] == "S16_LE" and given["-c"] == "1" and given["-t"] == "raw", sys.argv
PART_S = 0.02

def wanted():
    with open(os.path.abspath(__file__)) as file:
        return file.read().splitlines()[-1].removeprefix("# does: ").split(" ")

def fail(sentence, status=1):
    say("arecord: main:831: " + sentence)
    sys.exit(status)

def tone(hz, volume, rate):
    steps = max(1, round(rate / math.gcd(rate, hz))) if hz else 1
    turn = 2 * math.pi * hz / rate
    return array.array("h", (round(32767 * volume * math.sin(turn * n)) for n in range(steps)))

def say(sentence):
    sys.stderr.write(sentence + chr(10))
    sys.stderr.flush()

def open_failed(what):
    if what == "unplug":
        fail("audio open error: No such file or directory")
    if what == "busy":
        fail("audio open error: Device or resource busy")
    if what == "deny":
        fail("audio open error: Permission denied")
    if what == "forbid":
        fail("audio open error: Operation not permitted")

open_failed(wanted()[0])
say("Recording raw data 'stdin' : Signed 16 bit Little Endian, Rate %d Hz, Mono" % rate)
began, sent, before, wave = time.monotonic(), 0, None, None
out = sys.stdout.buffer
while True:
    what, *more = wanted()
    if what == "unplug":
        fail("read error: No such device")
    if what == "die":
        os.kill(os.getpid(), 9)
    if what == "stall":
        time.sleep(PART_S)
        began, sent = time.monotonic(), 0
        continue
    if (what, *more) != before:
        before = (what, *more)
        if what == "lose":
            say("overrun!!! (at least 1.234 ms long)")
        if what == "rate":
            say("Warning: rate is not accurate (requested = %iHz, got = %sHz)" % (rate, more[2]))
        actual = int(more[2]) if len(more) > 2 else rate
        wave = tone(int(more[0]), float(more[1]), actual) if more else array.array("h", [0])
        began, sent = time.monotonic(), 0
    due = int((time.monotonic() - began) * actual) - sent
    if due > 0:
        first = sent % len(wave)
        times = (first + due) // len(wave) + 1
        out.write((wave * times)[first : first + due].tobytes())
        if what == "half":
            out.write(b"x")
        out.flush()
        sent += due
    time.sleep(PART_S)
# does: tone 440 0.1
"""


class FakeRecorder:
    """The program.

    Attributes:
        path: where it is.

    Args:
        folder: where to write it.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "arecord"
        self._text = _PROGRAM.format(python=sys.executable)
        self.path.write_text(self._text, "utf-8")
        self.path.chmod(0o755)

    def does(self, what: str) -> None:
        """Tell it what to do from now on.

        Args:
            what: ``tone HZ VOLUME``, ``silence``, ``lose HZ VOLUME`` (samples, once), ``half HZ VOLUME``
                (samples of one byte too much), ``rate HZ VOLUME ACTUAL`` (another rate, which it reports),
                ``quick HZ VOLUME ACTUAL`` (another rate, which it does not report), ``stall``, ``die``,
                ``unplug``, ``busy``, ``deny`` or ``forbid`` (these also when it is started).
        """
        head = self._text.rpartition("# does: ")[0]
        with self.path.open("r+", encoding="utf-8") as file:  # in place: the walls show this very file
            file.write(f"{head}# does: {what}\n")
            file.truncate()
