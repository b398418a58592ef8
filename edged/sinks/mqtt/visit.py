"""Logs in at one address of the broker, publishes, and waits for that to come back: for ``edged doctor``.

With MQTT 3.1.1 a broker that does not let a user publish has no way to tell: it acknowledges the message and
drops it. Only reading it back shows that.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.sinks.mqtt.commands import ECHO, SWITCHES
from edged.sinks.mqtt.listen import connected, make_calls
from edged.sinks.mqtt.settings import Settings
from edged.sinks.mqtt.state import State, Why
from edged.system import clock

if TYPE_CHECKING:
    from edged.config.outputs import Mqtt
    from edged.sinks.mqtt.session import Message, Session

_SILENT = Why(State.TIMEOUT, "no answer came")
_GLANCE_S = 0.02  # between two looks for an answer


@dataclass
class Visit:
    """The outcome of a visit.

    Attributes:
        base: the node's topic.
        why: ``CONNECTED`` where the login worked.
        session: what the broker has and takes; None where the login failed.
        trouble: what it does not let the node do, in sentences.
    """

    base: str
    why: Why = _SILENT
    session: Session | None = None
    trouble: list[str] = field(default_factory=list)
    over: bool = False

    def up(self, session: Session) -> None:
        """Subscribe, and publish what should come back."""
        if self.session is not None:
            return  # connected again, after the publication
        self.session, self.why = session, Why(State.CONNECTED, "")
        session.subscribe([f"{self.base}/{SWITCHES}"])
        session.publish(f"{self.base}/{ECHO}", b"")

    def down(self, why: Why) -> None:
        """Note that the login failed, or that the broker hangs up at the publication."""
        if self.session is None:
            self.why = why
        else:
            self.trouble.append(f"the broker hangs up when this user publishes below {self.base}")
        # One that closes the connection without an answer may accept another version of MQTT.
        self.over = self.session is not None or why.state is not State.LOST

    def acked(self, mid: int, code: int, name: str) -> None:
        """Note that the broker refuses the publication; its reason code is the only sign of that."""
        del mid
        if code >= 0x80:
            self.trouble.append(f"this user may not publish below {self.base}: {name.lower()}")
            self.over = True

    def received(self, message: Message) -> None:
        """Note that the publication came back."""
        self.over |= message.topic == f"{self.base}/{ECHO}" and not message.retained

    def subscribed(self, mid: int, refused: int) -> None:
        """Note that switches will not arrive, and that nothing will come back."""
        del mid
        if not refused:
            return
        self.trouble.append(f"this user may not read {self.base}/{SWITCHES}: switches will not arrive")
        self.over = True

    def tick(self) -> None:
        """Do nothing: nothing is planned."""

    def leave(self) -> None:
        """Do nothing: this connection does not last."""


def visit(config: Mqtt, password: str | None, node: str, *, seconds: float, echo_s: float = 2.0) -> Visit:
    """Visit the first address of a broker.

    Args:
        config: the broker and how to log in.
        password: for the broker.
        node: the name of the node.
        seconds: how long to wait for the login.
        echo_s: how long to wait, after that, for what was published.

    Raises:
        ConfigError: a TLS file is missing or wrong.
    """
    name = f"edged-doctor-{os.getpid()}"
    settings = Settings.of(config, client_id=name, will_topic="", password=password)
    found = Visit(f"{config.prefix}/{node}")
    end = clock.monotonic() + seconds
    with connected(settings, found) as calls:
        while not found.over and (left := end - clock.monotonic()) > 0:
            was_in = found.session is not None
            make_calls(calls, min(_GLANCE_S, left))
            if found.session is not None and not was_in:
                end = clock.monotonic() + echo_s
    if found.why is _SILENT:
        found.why = Why(State.TIMEOUT, f"nothing was heard from it within {seconds:g} s")
    if found.session is not None and not found.over:
        found.trouble.append(
            f"what this user publishes on {found.base}/{ECHO} does not come back: it may not publish below "
            f"{found.base}, or not read {found.base}/{SWITCHES}"
        )
    return found
