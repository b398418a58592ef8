"""The topics outside of its own prefix on which a node left retained messages, kept in a file.

So a node with discovery turned off touches nothing there unless it has something to withdraw.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from edged.system.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

NAME = "announced.json"
MAX_BYTES = 1 << 20


class AnnouncedTopics:
    """A set of topics that outlives the process.

    Args:
        folder: where its file is. Where that cannot be read or written, the topics of earlier runs are
            forgotten.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._topics = self._read()

    def __contains__(self, topic: str) -> bool:
        """Return whether a message was left on this topic."""
        return topic in self._topics

    def all(self) -> list[str]:
        """Return the topics."""
        return sorted(self._topics)

    def add(self, topics: Iterable[str]) -> None:
        """Note that messages are left on these topics."""
        self._replace(self._topics.union(topics))

    def remove(self, topics: Iterable[str]) -> None:
        """Note that nothing is left on these topics."""
        self._replace(self._topics.difference(topics))

    def _replace(self, topics: frozenset[str]) -> None:
        if topics == self._topics:
            return
        self._topics = topics
        new = self._path.with_suffix(".next")
        try:
            new.write_text(json.dumps(self.all()), "utf-8")
            new.replace(self._path)
        except OSError as error:
            log.debug("%s is not written: %s", self._path, error)

    def _read(self) -> frozenset[str]:
        try:
            with open_regular(self._path) as file:
                found = json.loads(file.read(MAX_BYTES))
        except (OSError, ValueError, RecursionError):
            return frozenset()
        topics = found if isinstance(found, list) else []
        return frozenset(topic for topic in topics if isinstance(topic, str))
