"""Events for the laboratory: told apart by their labels."""

from __future__ import annotations

from edged.events import Event, ModelTag


def event(label: str) -> Event:
    """An event of the node ``lab``."""
    return Event(
        type="start", node="lab", pipeline="p", label=label, score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip
