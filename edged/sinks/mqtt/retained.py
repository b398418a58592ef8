"""The values that the broker is to keep: the latest of each topic, and which of them it does not have yet."""

from __future__ import annotations


class Retained:
    """Topics with their values, in the order in which they changed."""

    def __init__(self, topic: str, payload: bytes) -> None:
        self._latest = {topic: payload}
        self._dirty: dict[str, None] = {}  # an ordered set

    def __len__(self) -> int:
        """How many the broker does not have."""
        return len(self._dirty)

    def put(self, topic: str, payload: bytes) -> bool:
        """Note a value; False where it is nothing new."""
        if self._latest.get(topic) == payload:
            return False
        self._latest[topic] = payload
        self._dirty[topic] = None
        return True

    def take(self) -> tuple[str, bytes]:
        """Return the next one to send; from now on the broker is taken to have it."""
        topic = next(iter(self._dirty))
        del self._dirty[topic]
        return topic, self._latest[topic]

    def send_all(self) -> None:
        """A new connection: nobody knows what the broker has."""
        self._dirty = dict.fromkeys(self._latest)

    def send_nothing(self) -> None:
        """Leave what was not sent."""
        self._dirty.clear()
