"""Events: all that may leave the box. Frozen, no arrays, at most 8 KiB; ``schema/event.schema.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

MAX_BYTES = 8192  # of an event as JSON; the spool, the pipe and the broker's limit rest on it
MOST_READINGS = 4  # that an event takes along, so that the longest one stays below that
VERSION = 1
UNKNOWN = "unknown"  # the label when nothing is sure enough


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of a task: a label and how sure the model is.

    Attributes:
        label: from the label file, at most 128 characters.
        score: 0..1.
    """

    label: str
    score: float


@dataclass(frozen=True, slots=True)
class ModelTag:
    """Which model answered: its file's name without folder and suffix, and 8 hex digits of its sha256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A sensor's reading that goes with an event.

    Attributes:
        name: ``sensor``, or ``sensor/channel`` where it has several.
        value: a number, a state, or None where it could not be measured.
        unit: of the value.
        quality: good | stale | suspect | bad.
        age_s: how old it was when the frame was taken, in s.
    """

    name: str
    value: float | bool | None
    unit: str
    quality: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Event:
    """A decision, or (type ``result``) one inference.

    Attributes:
        type: start | change | end | heartbeat | result.
        label: the decided label or ``unknown``.
        score: of that label, 0..1.
        previous: the label decided before.
        top: the best findings of the deciding frame, best first.
        captured_at, ts: RFC 3339 UTC; exposure, and decision.
        clock: synced | unsynced.
        accelerator: cpu | edgetpu.
        degraded: the pipeline does not run as configured (CPU twin instead of the Edge TPU, …).
        latency_ms: exposure to decision.
        frame: the source's frame number, for folder and video only.
        readings: of the sensors that the pipeline names under ``attach``.
        network: true where the worker keeps a route out (RTSP), and never otherwise.
        id: node/epoch/sequence, given by the spool; None before it was accepted and for type ``result``.
        replayed: it waited in the spool while the broker was away.
    """

    type: str
    node: str
    pipeline: str
    label: str
    score: float
    previous: str
    top: tuple[Finding, ...]
    captured_at: str
    ts: str
    clock: str
    model: ModelTag
    accelerator: str
    latency_ms: float
    degraded: bool = False
    frame: int | None = None
    network: bool = False
    id: str | None = None
    replayed: bool = False
    readings: tuple[Attached, ...] = ()
    v: int = field(default=VERSION)

    def with_id(self, id_: str) -> Event:
        """Return the event as the spool accepted it."""
        return replace(self, id=id_)

    def payload(self) -> dict[str, Any]:
        """Return the event as JSON-ready data, without the fields that do not apply."""
        data: dict[str, Any] = {
            "v": self.v,
            "id": self.id,
            "type": self.type,
            "node": self.node,
            "pipeline": self.pipeline,
            "label": self.label,
            "score": round(self.score, 4),
            "previous": self.previous,
            "top": [{"label": f.label, "score": round(f.score, 4)} for f in self.top],
            "captured_at": self.captured_at,
            "ts": self.ts,
            "clock": self.clock,
            "model": {"name": self.model.name, "sha256": self.model.sha256},
            "accelerator": self.accelerator,
            "degraded": self.degraded,
            "latency_ms": round(self.latency_ms, 3),
            "replayed": self.replayed,
        }
        if self.id is None:
            del data["id"]
        if self.frame is not None:
            data["frame"] = self.frame
        if self.network:
            data["network"] = True
        if self.readings:
            data["readings"] = {
                r.name: {"value": r.value, "unit": r.unit, "quality": r.quality, "age_s": round(r.age_s, 3)}
                for r in self.readings
            }
        return data

    def state(self, since: str) -> dict[str, Any]:
        """Return what the pipeline sees now as JSON-ready data (``schema/state.schema.json``).

        Args:
            since: ``ts`` of the event that decided this label.
        """
        data = self.payload()
        for key in ("id", "type", "top", "latency_ms", "replayed", "readings"):
            data.pop(key, None)
        return data | {"since": since}

    def to_json(self) -> bytes:
        """Return the payload as compact UTF-8 JSON; the bounds of its fields keep it to ``MAX_BYTES``."""
        return json.dumps(self.payload(), ensure_ascii=False, separators=(",", ":")).encode()
