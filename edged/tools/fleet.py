"""A fleet of nodes: one row per node, from its messages on ``+/health`` and ``+/status``.

The messages come from other machines and are not trusted: a payload that is not a health message marks its
node ``unreadable`` and does no harm.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

SILENT_S = 120.0  # four default intervals: the node is gone, though the broker has not noticed yet
MAX_BYTES = 1_000_000  # of a health message
GOOD = frozenset({"ok", "degraded"})


@dataclass(frozen=True)
class Row:
    """One node.

    Attributes:
        node: its name.
        age_s: the age of its last health message, in s; None where there is none.
        state: ok | degraded | problem from its health, else offline | silent | unreadable | unknown.
        fps: classifications per second of all its pipelines.
        accelerator: the accelerators of its pipelines, such as ``cpu`` or ``cpu, edgetpu``.
        queue: the number of events that wait for the broker.
        version: the version of edged.
        problems: sentences from its health.
    """

    node: str
    age_s: float | None
    state: str
    fps: float | None = None
    accelerator: str = ""
    queue: int | None = None
    version: str = ""
    problems: tuple[str, ...] = ()

    def data(self) -> dict[str, Any]:
        """Return the row as JSON-ready data."""
        return asdict(self)


class Fleet:
    """The nodes of a broker, from the messages taken so far."""

    def __init__(self, prefix: str = "edged") -> None:
        self._depth = prefix.count("/") + 1
        self._online: dict[str, bool] = {}
        self._health: dict[str, tuple[dict[str, Any] | None, float]] = {}

    @staticmethod
    def topics(prefix: str) -> tuple[str, str]:
        """Return the topics to subscribe to."""
        return f"{prefix}/+/health", f"{prefix}/+/status"

    def take(self, topic: str, payload: bytes, now: float) -> str:
        """Take in a message; return the name of its node.

        Args:
            topic: one of :meth:`topics`.
            payload: the message's bytes; empty where the node was removed.
            now: wall clock, s since 1970; the message's own time is used where it has one.
        """
        node, kind = topic.split("/")[self._depth : self._depth + 2]
        if kind == "status":
            if payload:
                self._online[node] = payload == b"online"
            else:
                self._online.pop(node, None)
        elif payload:
            self._health[node] = _read(payload, now)
        else:
            self._health.pop(node, None)
        return node

    def rows(self, now: float) -> list[Row]:
        """Return one row for each known node, sorted by name; ``now`` is in s since 1970."""
        return [self.row(node, now) for node in sorted(self._online.keys() | self._health.keys())]

    def row(self, node: str, now: float) -> Row:
        """Return the row of one node; ``now`` is in s since 1970."""
        data, at = self._health.get(node, (None, now))
        age_s = None if node not in self._health else round(max(0.0, now - at), 1)
        if data is None:
            state = "unreadable" if node in self._health else "unknown"
            return Row(node, age_s, "offline" if self._online.get(node) is False else state)
        state = data["status"]
        if self._online.get(node) is False:
            state = "offline"
        elif age_s is not None and age_s > SILENT_S:
            state = "silent"
        pipelines = data["pipelines"].values()
        # The figures of a node that is gone are those of its last message.
        rates = [p["fps"] for p in pipelines if p["fps"] is not None and state in (*GOOD, "problem")]
        return Row(
            node,
            age_s,
            state,
            round(sum(rates), 2) if rates else None,
            ", ".join(sorted({p["accelerator"] for p in pipelines if p["accelerator"]})),
            data["queue"],
            data["version"],
            tuple(data["problems"]),
        )


def all_working(rows: list[Row]) -> bool:
    """Return whether there are nodes and all of them work."""
    return bool(rows) and all(row.state in GOOD for row in rows)


def _read(payload: bytes, now: float) -> tuple[dict[str, Any] | None, float]:
    """Return a health message and its time; None and ``now`` where the payload is not a health message."""
    try:
        if len(payload) > MAX_BYTES:
            return None, now
        data = json.loads(payload)
        at = datetime.fromisoformat(data["ts"]).timestamp()
        pipelines = [
            {"fps": None if p["fps"] is None else float(p["fps"]), "accelerator": str(p["accelerator"])}
            for p in data["pipelines"].values()
        ]
        return {
            "status": str(data["status"]),
            "pipelines": dict(enumerate(pipelines)),
            "queue": int(data["queue"]),
            "version": str(data["version"]),
            "problems": [str(sentence) for sentence in data["problems"]],
        }, at
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None, now
