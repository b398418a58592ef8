"""Devices at the other end of a serial port: a pseudo-terminal, so that the driver opens a real tty."""

from __future__ import annotations

import os
import pty
import select
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


def pms5003_frame(pm1: int, pm2_5: int, pm10: int) -> bytes:
    """Return a frame of Plantower's data sheet: start, length 28, thirteen words, sum of all bytes."""
    words = [0x424D, 28, 1, 2, 3, pm1, pm2_5, pm10, 900, 260, 41, 8, 1, 0, 0x9700]
    body = b"".join(word.to_bytes(2, "big") for word in words)
    return body + sum(body).to_bytes(2, "big")


def mhz19_frame(co2: int, celsius: int) -> bytes:
    """Return an answer to command 0x86 of Winsen's data sheet, checksum last."""
    body = bytes([0xFF, 0x86, *co2.to_bytes(2, "big"), celsius + 40, 0, 0, 0])
    return body + bytes([(0xFF - sum(body[1:]) + 1) & 0xFF])


class SerialDevice:
    """Sends data at intervals, or in answer to a request.

    Args:
        says: returns the data to send next; None: it stays silent. Where ``asked`` is a length, it is called
            with each request.
        asked: the request that it answers, or the length of its requests; empty: it sends at intervals.
        pause_s: the interval, in s.
    """

    def __init__(
        self, says: Callable[..., bytes | None], *, asked: bytes | int = b"", pause_s: float = 0.02
    ) -> None:
        self._says = says
        self._asked = asked
        self._pause_s = pause_s
        self._ours, self._theirs = pty.openpty()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.path = os.ttyname(self._theirs)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def unplug(self) -> None:
        """Go away: a program that has the port open gets an error."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(5)
        os.close(self._theirs)
        os.close(self._ours)

    def _run(self) -> None:
        while not self._stop.is_set():
            if isinstance(self._asked, int):
                if select.select([self._ours], [], [], 0.02)[0]:
                    os.write(self._ours, self._says(os.read(self._ours, self._asked)) or b"")
                continue
            if self._asked:
                if not select.select([self._ours], [], [], 0.02)[0] or self._asked not in os.read(
                    self._ours, 256
                ):
                    continue
            elif self._stop.wait(self._pause_s):
                break
            data = self._says()
            if data is not None:
                os.write(self._ours, data)
