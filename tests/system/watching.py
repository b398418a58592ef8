"""A consumer of the messages, whose session at the broker outlives it, and the accounts of what came."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Message:
    at: float
    retained: bool
    topic: str
    payload: str

    @property
    def data(self) -> dict[str, Any]:
        found = json.loads(self.payload)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Account:
    """What came of one node's events."""

    first: str
    last: str
    distinct: int
    duplicates: int
    missing: int
    epochs: int

    def __str__(self) -> str:
        return (
            f"{self.distinct} events, {self.missing} missing, {self.duplicates} twice, {self.epochs} epoch(s)"
        )


class Consumer:
    """mosquitto_sub, writing to a file."""

    def __init__(self, command: list[str], file: Path) -> None:
        self._command = command
        self._file = file
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._file.open("ab") as out:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def messages(self, since: float = 0.0) -> list[Message]:
        found = []
        for line in self._file.read_text("utf-8", "replace").splitlines():
            at, retained, topic, payload = [*line.split(" ", 3), "", "", ""][:4]
            if float(at) >= since:
                found.append(Message(float(at), retained == "1", topic, payload))
        return found

    def events(self, node: str, since: float = 0.0) -> list[Message]:
        head = f"edged/{node}/"
        return [m for m in self.messages(since) if m.topic.startswith(head) and m.topic.endswith("/event")]

    def wait_for(self, topic: str, payload: str, since: float, timeout_s: float) -> float:
        """Return when a message came, in s since ``since``."""
        deadline = time.time() + timeout_s
        while time.time() < deadline:
            for message in self.messages(since):
                if message.topic == topic and payload in message.payload:
                    return message.at - since
            time.sleep(0.1)
        raise AssertionError(f"no '{payload}' on {topic} within {timeout_s:g} s")

    def account(self, node: str, since: float = 0.0) -> Account:
        """Count what is missing between the first and the last event; the last part of an id counts them."""
        ids = [m.data["id"] for m in self.events(node, since)]
        assert ids, f"no event of {node} came"
        sequences: dict[str, set[int]] = {}
        for name in ids:
            _, epoch, sequence = name.rsplit("/", 2)
            sequences.setdefault(epoch, set()).add(int(sequence))
        missing = sum(max(s) - min(s) + 1 - len(s) for s in sequences.values())
        twice = sum(n - 1 for n in Counter(ids).values())
        return Account(ids[0], ids[-1], len(set(ids)), twice, missing, len(sequences))
