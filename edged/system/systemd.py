"""Notifies systemd (sd_notify(3)) of ready, status, watchdog, reloading, stopping; needs no library."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

from edged.system import clock

if TYPE_CHECKING:
    from collections.abc import MutableMapping

LONGEST_STATUS = 500  # characters


class Notifier:
    """Sends to the socket that systemd names in the environment; without one, every call does nothing.

    Nothing here raises or waits: the daemon works on if systemd does not listen.

    Args:
        address: the path of the socket; ``@`` in front means the abstract namespace; empty: none.
        watchdog_s: systemd kills this process when :meth:`watchdog` is not called for this long; None: never.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Take the variables out of the environment, so that no child uses them."""
        address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
        mine = usec.isdecimal() and int(usec) > 0 and pid == str(os.getpid())
        return cls(address if address[:1] in ("/", "@") else "", int(usec) / 1e6 if mine else None)

    def ready(self) -> None:
        """Report that the daemon is ready, or has finished reloading."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """Show a sentence in ``systemctl status``; a repeated one is not sent."""
        sentence = " ".join(sentence.split())[:LONGEST_STATUS]
        if sentence != self._status:
            self._status = sentence
            self._send(f"STATUS={sentence}")

    def watchdog(self) -> None:
        """Feed the watchdog: real progress was made."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that a reload begins; ``ready`` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """Report that the daemon begins to stop."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(errors="replace"), self._address)
