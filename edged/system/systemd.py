"""What edged tells systemd (sd_notify(3)): ready, status, watchdog, reloading, stopping. Needs no library."""

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
    """Sends to the socket that systemd named in the environment; without one, every call does nothing.

    Nothing here ever raises or waits: systemd that does not listen is no reason to stop working.

    Args:
        address: path of the socket; ``@`` in front means the abstract namespace; empty: none.
        watchdog_s: systemd kills this process after so long without :meth:`watchdog`; None: it does not.
    """

    def __init__(self, address: str = "", watchdog_s: float | None = None) -> None:
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        self.watchdog_s = watchdog_s

    @classmethod
    def of(cls, environment: MutableMapping[str, str] = os.environ) -> Notifier:
        """Take the variables out of the environment, so that no child takes them for its own."""
        address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        pid = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
        mine = usec.isdecimal() and int(usec) > 0 and pid == str(os.getpid())
        return cls(address if address[:1] in ("/", "@") else "", int(usec) / 1e6 if mine else None)

    def ready(self) -> None:
        """The daemon works, or has finished reloading."""
        self._send("READY=1")

    def status(self, sentence: str) -> None:
        """Show this in ``systemctl status``; the same sentence again is not sent."""
        sentence = " ".join(sentence.split())[:LONGEST_STATUS]
        if sentence != self._status:
            self._status = sentence
            self._send(f"STATUS={sentence}")

    def watchdog(self) -> None:
        """Real progress was made."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """The daemon begins to stop."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(text.encode(errors="replace"), self._address)
