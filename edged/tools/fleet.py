"""A fleet, as its messages tell of it: one row for each node, from ``+/health`` and ``+/status``.

What arrives comes from other machines and is not trusted: what is no health message makes its node
``unreadable`` and harms nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

SILENT_S = 120.0  # four intervals of the default: nobody there, though the broker has not noticed yet
MOST_BYTES = 1_000_000
GOOD = frozenset({"ok", "degraded"})


@dataclass(frozen=True)
class Row:
    """One node.

    Attributes:
        age_s: since it last told of its health; None where it never did.
        state: ok | degraded | problem as it says, else offline | silent | unreadable | unknown.
        fps: classifications in a second, of all pipelines.
        accelerator: of its pipelines, such as ``cpu`` or ``cpu, edgetpu``.
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
        """Return it as JSON-ready data."""
        return asdict(self)


class Fleet:
    """Takes messages, gives rows."""

    def __init__(self, prefix: str = "edged") -> None:
        self._depth = prefix.count("/") + 1
        self._online: dict[str, bool] = {}
        self._health: dict[str, tuple[dict[str, Any] | None, float]] = {}

    @staticmethod
    def topics(prefix: str) -> tuple[str, str]:
        """Return what to subscribe to."""
        return f"{prefix}/+/health", f"{prefix}/+/status"

    def take(self, topic: str, payload: bytes, now: float) -> str:
        """Take a message in; return the node that it is about.

        Args:
            topic: one of :meth:`topics`.
            payload: as it came; empty says that the node was taken away.
            now: wall clock, s since 1970; the message's own time wins, where it has one.
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
        """Return one row for each node that was heard of, by name, at a wall time in s since 1970."""
        return [self.row(node, now) for node in sorted(self._online.keys() | self._health.keys())]

    def row(self, node: str, now: float) -> Row:
        """Return the row of one node, at a wall time in s since 1970."""
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
        rates = [p["fps"] for p in pipelines if p["fps"] is not None]
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


def all_good(rows: list[Row]) -> bool:
    """Whether there are nodes and every one of them works."""
    return bool(rows) and all(row.state in GOOD for row in rows)


def _read(payload: bytes, now: float) -> tuple[dict[str, Any] | None, float]:
    """Return a health message and its time, or None for what is not one."""
    try:
        if len(payload) > MOST_BYTES:
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
