"""The addresses of a broker, or of the nodes of a cluster: which is next, and when to return to the first."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

BACK_S, LONGEST_BACK_S = 60.0, 960.0  # on another address, before the first is looked at; doubled if it fails


class Endpoint(NamedTuple):
    """A broker's host and port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Rotation:
    """Takes the addresses in turn, each once a round. Times are monotonic, in s.

    A round begins with the first address, and ends with the one that was lost.
    """

    def __init__(self, addresses: Sequence[Endpoint]) -> None:
        self._addresses = tuple(addresses)
        self._round = list(self._addresses)
        self._back_s = BACK_S
        self._back_at = float("inf")
        self._went_back = False

    @property
    def current(self) -> Endpoint:
        """The address to try, or the one that is connected."""
        return self._round[0]

    @property
    def first(self) -> Endpoint:
        """The address to be preferred."""
        return self._addresses[0]

    def connected(self, now: float) -> None:
        """Note that the current address accepted a connection."""
        self._back_at = float("inf") if self.current == self.first else now + self._back_s

    def failed(self) -> bool:
        """Go on to the next address; return False at the end of a round: it is time for a pause."""
        if self.current == self.first and self._went_back:
            self._back_s = min(2 * self._back_s, LONGEST_BACK_S)
        self._went_back = False
        del self._round[0]
        if self._round:
            return True
        self._round = list(self._addresses)
        return False

    def lost(self, *, stable: bool) -> bool:
        """Note that a connection ended; return whether to try another address without a pause.

        Args:
            stable: it lasted for a while; otherwise its address failed.
        """
        if not stable or len(self._addresses) == 1:
            return self.failed() and len(self._addresses) > 1
        if self.current == self.first:
            self._back_s = BACK_S
        self._went_back = False
        others = [address for address in self._addresses if address != self.current]
        self._round = [*others, self.current]
        return True

    def is_back_due(self, now: float) -> bool:
        """Return whether to look at the first address again; plans the look after this one."""
        if now < self._back_at:
            return False
        self._back_at = now + self._back_s
        return True

    def go_back(self) -> None:
        """Begin a round with the first address, while the current one still works."""
        self._round = list(self._addresses)
        self._went_back = True


class Look:
    """A look at whether something listens at an address, in a thread of its own: a name may take its time."""

    def __init__(self, address: Endpoint, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self.found = threading.Event()
        threading.Thread(target=self._run, name="mqtt-look", daemon=True).start()

    def _run(self) -> None:
        with contextlib.suppress(OSError, UnicodeError):
            socket.create_connection(self._address, self._timeout_s).close()
            self.found.set()
