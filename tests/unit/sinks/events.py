"""An event, for the tests of sinks."""

from __future__ import annotations

from edged.events import Event, ModelTag


def event(pipeline: str = "p") -> Event:
    return Event(
        type="start", node="n", pipeline=pipeline, label="cat", score=0.5, previous="unknown", top=(),
        captured_at="2026-01-31T12:00:00.000Z", ts="2026-01-31T12:00:00.000Z", clock="synced",
        model=ModelTag("m", "35e8e20b"), accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip
