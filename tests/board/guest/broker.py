"""What a subscriber hears at the broker of the board."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from system import wait

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Message:
    at: float
    topic: str
    payload: str

    @property
    def data(self) -> dict[str, Any]:
        found = json.loads(self.payload)
        assert isinstance(found, dict)
        return found


class Subscriber:
    """mosquitto_sub on everything of the node."""

    def __init__(self) -> None:
        self.heard: list[Message] = []
        self._process = subprocess.Popen(
            ["mosquitto_sub", "-t", "edged/#", "-F", "%t %p"], stdout=subprocess.PIPE, text=True
        )
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def hear(
        self, topic: str, holds: Callable[[Message], bool], timeout_s: float, since: float | None = None
    ) -> Message:
        """Wait for a message of a topic that comes from now on (or came since then)."""
        since = time.monotonic() if since is None else since
        full = f"edged/board/{topic}"

        def found() -> Message | None:
            return next((m for m in self.heard[:] if m.topic == full and m.at >= since and holds(m)), None)

        try:
            return wait(f"a message on {full}", found, timeout_s)
        except AssertionError as error:
            last = next((m.payload for m in reversed(self.heard) if m.topic == full), "nothing")
            raise AssertionError(f"{error}; the last one there: {last[:200]}") from None

    def between(self, topic: str, since: float, until: float) -> list[Message]:
        return [m for m in self.heard[:] if m.topic == f"edged/board/{topic}" and since <= m.at <= until]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            topic, _, payload = line.rstrip("\n").partition(" ")
            self.heard.append(Message(time.monotonic(), topic, payload))
