"""Events, the only data about pictures that leaves the device; see ``schema/event.schema.json``.

They are frozen, hold no arrays, and have at most 8 KiB as JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_BYTES = 8192  # of an event as JSON; the spool, the pipe and the broker's limit depend on it
MAX_READINGS = 4  # in an event, so that the longest one stays below MAX_BYTES
VERSION = 1
ACCELERATORS = frozenset({"cpu", "edgetpu", "external"})  # that may have run a model
UNKNOWN = "unknown"  # the label while no label is certain enough
MOST_PRESENT = 10  # labels, or labels in zones, that one pipeline decides at the same time
MOST_OBJECTS = 100  # that a count goes up to
MOST_BOXES = 10  # in an event
MOST_BESIDE = 9  # findings in an event that also has a count, so that the longest one stays below MAX_BYTES
MOST_CLOSER = 3  # objects of an event that are looked at closer
MOST_WITH_CLOSER = MOST_BESIDE - MOST_CLOSER  # findings in such an event
BOX_DIGITS = 3  # decimals of a box's edges

Box = tuple[float, float, float, float]
"""The place of an object in a picture: x0, y0, x1, y1 as parts of its width and height, 0..1."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer of a task: a label and its score.

    Attributes:
        label: a label of the label file, at most 128 characters.
        score: the model's confidence, 0..1.
    """

    label: str
    score: float


NOTHING = (Finding(UNKNOWN, 0.0),)  # the findings where several labels may be there, and none is


@dataclass(frozen=True, slots=True)
class Detection(Finding):
    """An object that a task found in a picture.

    Attributes:
        box: its place: in the model's picture where a task made it, in the whole picture for the decision.
    """

    box: Box


@dataclass(frozen=True, slots=True)
class Present:
    """What a pipeline that decides by label has decided about one label.

    Attributes:
        label: the label.
        zone: the zone that it is in; empty where the pipeline has no zones.
        count: how many there are, at least 1.
        score: the best score at the last change.
        since: wall time of its start, s since 1970.
        then: what a second model said of them at the last change.
    """

    label: str
    zone: str
    count: int
    score: float
    since: float
    then: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelTag:
    """The model: its file's name without folder and suffix, and the first 8 hex digits of its sha256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Attached:
    """A sensor reading attached to an event.

    Attributes:
        name: ``sensor``, or ``sensor/channel`` where the sensor has several channels.
        value: a number, a state, or None where it could not be measured.
        unit: the value's unit.
        quality: good | stale | suspect | bad.
        age_s: its age when the frame was taken, in s.
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
        node: the node's name.
        pipeline: the pipeline's name.
        label: the decided label or ``unknown``.
        score: the label's score, 0..1.
        previous: the label decided before.
        top: the best findings of the deciding frame, best first.
        captured_at, ts: the time of the exposure and of the decision, RFC 3339 UTC.
        clock: synced | unsynced.
        model: the model that answered.
        accelerator: cpu | edgetpu | external.
        latency_ms: the time from exposure to decision.
        degraded: the pipeline does not run as configured (on the CPU instead of the Edge TPU, …).
        frame: the source's frame number, for folder and video only.
        network: true where the worker keeps a route to the network (RTSP), and never otherwise.
        id: node/epoch/sequence, assigned by the spool; None until then and for type ``result``.
        replayed: it waited in the spool while the broker was away.
        readings: readings of the sensors that the pipeline names under ``attach``.
        count: how many of the label there are now, where the pipeline decides by label; else None.
        zone: the zone that the event is about; empty where the pipeline has no zones.
        boxes: the places of the label's objects in the deciding picture; None: they are not published.
        then: what the second model says of the label's objects, in the order of the boxes.
        v: the version of the schema.
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
    count: int | None = None
    zone: str = ""
    boxes: tuple[Box, ...] | None = None
    then: tuple[Finding, ...] = ()
    v: int = field(default=VERSION)

    def with_id(self, id_: str) -> Event:
        """Return the event with the id that the spool assigned."""
        return replace(self, id=id_)

    def payload(self) -> dict[str, Any]:
        """Return the event as JSON-ready data, without fields that do not apply."""
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
        if self.count is not None:
            data["count"] = self.count
        if self.zone:
            data["zone"] = self.zone
        if self.boxes is not None:
            data["boxes"] = [[round(edge, BOX_DIGITS) for edge in box] for box in self.boxes]
        if self.then:
            data["then"] = [{"label": f.label, "score": round(f.score, 4)} for f in self.then]
        if self.readings:
            data["readings"] = {
                r.name: {"value": r.value, "unit": r.unit, "quality": r.quality, "age_s": round(r.age_s, 3)}
                for r in self.readings
            }
        return data

    def state(self, since: str, present: Sequence[Present] | None = None) -> dict[str, Any]:
        """Return the pipeline's state as JSON-ready data (``schema/state.schema.json``).

        Args:
            since: the ``ts`` of the event that decided this label.
            present: everything that is there, where the pipeline decides by label; else None.
        """
        data = self.payload()
        for key in ("id", "type", "top", "latency_ms", "replayed", "readings", "zone", "boxes"):
            data.pop(key, None)
        data["since"] = since
        if present is not None:
            data["present"] = totals(present)
            if zones := {each.zone for each in present if each.zone}:
                data["zones"] = {
                    zone: {each.label: each.count for each in present if each.zone == zone}
                    for zone in sorted(zones)
                }
        return data

    def to_json(self) -> bytes:
        """Return the payload as compact UTF-8 JSON; its fields' bounds keep it below ``MAX_BYTES``."""
        return json.dumps(self.payload(), ensure_ascii=False, separators=(",", ":")).encode()


def totals(present: Sequence[Present]) -> dict[str, int]:
    """Return how many there are of each label, over all zones."""
    counts: dict[str, int] = {}
    for each in present:
        counts[each.label] = counts.get(each.label, 0) + each.count
    return counts
