"""The health message: what the daemon is doing and what is wrong, for the topic, the file and Home Assistant.

Building it is a pure function of one snapshot. ``schema/health.schema.json`` describes the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import edged
from edged.events import totals
from edged.system import clock, process_memory
from edged.system.isolation import not_isolated, suffices

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from edged.daemon.lessons import Taught
    from edged.daemon.publisher import Decided
    from edged.ipc.sensor_messages import SensorState
    from edged.sensors import Reading
    from edged.spool import Counts
    from edged.supervisor import PipelineStatus
    from edged.supervisor.switches import Switch

VERSION = 1
MOST_PROBLEMS = 20
REMEMBERED_S = 3600.0
LONGEST = 200  # characters of a sentence
WORKING = frozenset({"running", "starting", "ended", "disabled"})
_STILL = "still"  # why a frame was not classified, where nothing moves: neither a loss nor a fault
_DETAILS = "edged status on the device shows details"
_SENSOR = {  # about a sensor with an error, by its state
    "starting": f"it failed; {_DETAILS}",
    "running": f"it failed before; {_DETAILS}",
    "waiting": f"it cannot be read; {_DETAILS}",
    "hung": f"it does not answer; {_DETAILS}",
    "failed": f"it cannot be used; {_DETAILS}",
}
_BROKER_FINE = frozenset({"connected", "connecting", "none", "stopped"})
_NEWS = ("state", "online", "enabled", "restarts", "last_error", "degraded", "held_by")


class Broker(NamedTuple):
    """The outputs that events go to.

    Attributes:
        state: the state in a word or two.
        detail: a sentence about it.
        degraded: what a person has to correct there: ``auth``, ``certificate``, or "" for nothing.
        problems: what it does not let this node do, in sentences.
    """

    state: str
    detail: str
    degraded: Literal["", "auth", "certificate"] = ""
    problems: Sequence[str] = ()


class Process(NamedTuple):
    """A process of this daemon, with its resident memory in MB."""

    pid: int
    rss_mb: float


@dataclass(frozen=True)
class Snapshot:
    """Everything that a health message is made of.

    Attributes:
        node: this node's name.
        uptime_s: seconds since the daemon started.
        at: wall clock, s since 1970.
        synced: whether the wall clock is synchronised.
        pipelines: the statuses of pipelines, by name.
        counts: the spool's counts.
        broker: where events go.
        spool: where events wait until then: ``disk``, or ``memory`` and why.
        processes: the daemon's processes, by name; ``main`` is this one.
        isolation: required | optional, as configured.
        complaints: further problems, such as a configuration that was refused.
        sensors: the states of sensors, by name.
        decided: what each pipeline decided last, by name.
        readings: the newest reading of each channel, by the sensor's name; for this machine's users only: on
            MQTT each has a topic of its own.
        switches: the last switch of each pipeline over MQTT, by name.
        lessons: what the lessons over MQTT came to, by the name of the pipeline.
        cameras: the camera of each pipeline that names one to share.
    """

    node: str
    uptime_s: float
    at: float
    synced: bool
    pipelines: Mapping[str, PipelineStatus]
    counts: Counts
    broker: Broker
    spool: str = "disk"
    processes: Mapping[str, Process] = field(default_factory=dict)
    isolation: str = "required"
    complaints: Sequence[str] = ()
    sensors: Mapping[str, SensorState] = field(default_factory=dict)
    decided: Mapping[str, Decided] = field(default_factory=dict)
    readings: Mapping[str, Sequence[Reading]] = field(default_factory=dict)
    switches: Mapping[str, Switch] = field(default_factory=dict)
    lessons: Mapping[str, Taught] = field(default_factory=dict)
    cameras: Mapping[str, str] = field(default_factory=dict)


class Losses:
    """Remembers for an hour that events were dropped: a problem, but not a lasting one.

    Args:
        now: returns monotonic time in s.
    """

    def __init__(self, now: Callable[[], float] = clock.monotonic) -> None:
        self._now = now
        self._seen: dict[str, int] = {}
        self._at: dict[str, float] = {}

    def sentences(self, dropped: Mapping[str, int]) -> list[str]:
        """Return the problems, given the number of events dropped so far, by reason."""
        now = self._now()
        for reason, count in dropped.items():
            if count > self._seen.get(reason, 0):
                self._at[reason] = now
        self._seen = dict(dropped)
        recent = sorted(reason for reason, at in self._at.items() if now - at < REMEMBERED_S)
        return [f"events were dropped within the last hour ({', '.join(recent)})"] if recent else []


def message(now: Snapshot, *, public: bool = False) -> dict[str, Any]:
    """Return the health message as JSON-ready data.

    Args:
        now: what it is about.
        public: for others than this machine's users: without sentences that a worker wrote, which may be an
            attacker's.
    """
    if public:
        now = _in_own_words(now)
    failing = _failing(now)
    impaired = _impaired(now)
    return {
        "v": VERSION,
        "node": now.node,
        "version": edged.__version__,
        "status": "problem" if failing else "degraded" if impaired else "ok",
        "problems": _problems([*failing, *impaired]),
        "notes": [_bounded(sentence) for sentence in _notes(now, public=public)][:MOST_PROBLEMS],
        "uptime_s": round(now.uptime_s),
        "ts": clock.rfc3339(now.at),
        "clock": "synced" if now.synced else "unsynced",
        "pipelines": {
            name: _pipeline(status, now.decided.get(name), now.switches.get(name), now.lessons.get(name))
            | ({"camera": now.cameras[name]} if name in now.cameras else {})
            for name, status in now.pipelines.items()
        },
        "sensors": {
            name: _sensor(status) if public else _sensor(status) | {"readings": _readings(now, name)}
            for name, status in now.sensors.items()
        },
        "queue": now.counts.queued,
        "spool": _bounded(now.spool),
        "events": _events(now.counts),
        "broker": _broker(now.broker),
        "processes": {
            name: {"pid": process.pid, "rss_mb": round(process.rss_mb, 1)}
            for name, process in now.processes.items()
        },
        "isolation": now.isolation,
    }


def _problems(sentences: Sequence[str]) -> list[str]:
    """Return a bounded number of sentences of a bounded length."""
    problems = [_bounded(sentence) for sentence in sentences]
    if len(problems) <= MOST_PROBLEMS:
        return problems
    more = len(problems) - MOST_PROBLEMS + 1
    return [*problems[: MOST_PROBLEMS - 1], f"and {more} more"]


def _events(counts: Counts) -> dict[str, Any]:
    return {
        "accepted": counts.accepted,
        "acknowledged": counts.acknowledged,
        "queued": counts.queued,
        "dropped": dict(counts.dropped),
    }


def _broker(broker: Broker) -> dict[str, str]:
    degraded = {"degraded": broker.degraded} if broker.degraded else {}
    return {"state": broker.state, "detail": _bounded(broker.detail), **degraded}


def _in_own_words(now: Snapshot) -> Snapshot:
    """Replace the sentences of workers by those that main has for them."""
    pipelines = {
        name: replace(status, last_error=status.public_error) for name, status in now.pipelines.items()
    }
    sensors = {
        name: replace(status, last_error=_SENSOR[status.state] if status.last_error else "")
        for name, status in now.sensors.items()
    }
    return replace(now, pipelines=pipelines, sensors=sensors)


def essence(data: Mapping[str, Any]) -> object:
    """Return the part of a message whose change is news; the figures change all the time."""
    return (
        data["status"],
        data["problems"],
        data["notes"],
        data["broker"]["state"],
        data["isolation"],
        {name: (sensor["state"], sensor["last_error"]) for name, sensor in data["sensors"].items()},
        {name: [pipeline[key] for key in _NEWS] for name, pipeline in data["pipelines"].items()},
    )


def started(data: Mapping[str, Any]) -> str:
    """Return the summary for the log, which has the problems already."""
    problems = len(data["problems"])
    count = f"; {problems} problem{'' if problems == 1 else 's'}: see above" if problems else ""
    return f"{_running(data)}{count}"


def headline(data: Mapping[str, Any]) -> str:
    """Return the summary in one line that ``systemctl status`` shows."""
    line = _running(data)
    return f"{line}; {'; '.join(data['problems'])}" if data["problems"] else line


def _running(data: Mapping[str, Any]) -> str:
    pipelines = data["pipelines"].values()
    running = sum(p["state"] in ("running", "ended") for p in pipelines)
    enabled = sum(p["enabled"] for p in pipelines)
    queue = f"{data['queue']} event{'' if data['queue'] == 1 else 's'} queued"
    return f"{running} of {enabled} pipelines running, {queue}"


def measure(pids: Mapping[str, int]) -> dict[str, Process]:
    """Return the resident memory of each process that still runs."""
    found = {}
    for name, pid in pids.items():
        memory_mb = process_memory.megabytes(pid)
        if memory_mb is not None:
            found[name] = Process(pid, memory_mb)
    return found


def _failing(now: Snapshot) -> list[str]:
    """Return the problems that keep a pipeline or a sensor from working."""
    pipelines = [
        f"{name}: {status.last_error or status.state}"
        for name, status in now.pipelines.items()
        if status.enabled and (status.fault or status.state not in WORKING)
    ]
    return pipelines + [
        f"{name}: {status.last_error or status.state}"
        for name, status in now.sensors.items()
        if status.state not in ("running", "starting")
    ]


def _impaired(now: Snapshot) -> list[str]:
    """Return the problems that do not keep pipelines from working."""
    found = list(now.complaints)
    for name, status in now.pipelines.items():
        if status.degraded:
            found.append(f"{name}: runs on {status.accelerator or 'another device'}, not as configured")
        if status.state == "running" and not status.network and not suffices(status.isolation):
            found.append(not_isolated(f"{name}: its worker", status.isolation))
    if now.spool != "disk":
        found.append(f"spool: {now.spool}")
    if now.broker.state not in _BROKER_FINE:
        found.append(f"broker: {now.broker.state}: {now.broker.detail}")
    found += [f"broker: {problem}" for problem in now.broker.problems]
    return found


def _notes(now: Snapshot, *, public: bool) -> list[str]:
    """Return what a person should know, and what keeps nothing from working."""
    switched_off = [
        f"{name}: switched off over MQTT since {clock.rfc3339(now.switches[name].at)}"
        for name, status in now.pipelines.items()
        if not status.enabled and name in now.switches and not now.switches[name].on
    ]
    return switched_off + [
        f"{name}: {sentence}"
        for name, status in now.pipelines.items()
        for sentence in (status.public_notes if public else status.notes.values())
    ]


def _decision(status: PipelineStatus, decided: Decided | None) -> dict[str, Any] | None:
    if decided is None:
        return None
    there = {} if status.present is None else {"present": totals(status.present)}
    return {"label": decided.label, "since": decided.since, **there}


def _pipeline(
    status: PipelineStatus, decided: Decided | None, switch: Switch | None, taught: Taught | None
) -> dict[str, Any]:
    model = status.model
    return {
        "state": status.state,
        "online": status.online,
        "enabled": status.enabled,
        "decision": _decision(status, decided),
        "fps": _figure(status.fps),
        "invoke_ms": {"p50": _figure(status.invoke_p50_ms), "p95": _figure(status.invoke_p95_ms)},
        "capture_ms": _figure(status.capture_p50_ms),
        "frames": status.frames,
        "dropped": {reason: count for reason, count in status.dropped.items() if reason != _STILL},
        "restarts": status.restarts,
        "held_by": _bounded(status.held_by),
        "last_error": _bounded(status.last_error),
        "model": None if model is None else {"name": model.name, "sha256": model.sha256},
        "runtime": status.runtime,
        "accelerator": status.accelerator,
        "degraded": status.degraded,
        "isolation": list(status.isolation),
        "network": status.network,
        **({"motion": _motion(status)} if status.moves is not None else {}),
        **({"view": dict(zip(("width", "height"), status.view, strict=True))} if status.view else {}),
        **({} if taught is None else {"taught": _taught(taught)}),
        **({} if switch is None else {"switched": {"on": switch.on, "at": clock.rfc3339(switch.at)}}),
    }


def _motion(status: PipelineStatus) -> dict[str, Any]:
    return {"moves": status.moves, "skipped": status.dropped.get(_STILL, 0)}


def _taught(taught: Taught) -> dict[str, Any]:
    return {"lessons": taught.lessons, "refused": taught.refused, "last": _bounded(taught.last)}


def _sensor(status: SensorState) -> dict[str, Any]:
    return {
        "state": status.state,
        "online": status.online,
        "last_error": _bounded(status.last_error),
        "reads": status.reads,
        "faults": status.faults,
    }


def _readings(now: Snapshot, sensor: str) -> list[dict[str, Any]]:
    """Return the newest reading of each channel."""
    return [
        {
            "channel": reading.channel,
            "value": reading.value,
            "unit": reading.unit,
            "quality": reading.quality.value,
            "ts": clock.rfc3339(reading.ts),
        }
        for reading in now.readings.get(sensor, ())
    ]


def _figure(value: float | None) -> float | None:
    """Round a figure; None for infinity, which JSON does not have."""
    return round(value, 2) if value is not None and math.isfinite(value) else None


def _bounded(sentence: str) -> str:
    sentence = " ".join(sentence.split())
    return sentence if len(sentence) <= LONGEST else sentence[: LONGEST - 1] + "…"
