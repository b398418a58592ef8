"""Checks microphones: which are present, and whether a worker gets sound from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.config.root import PipelineSection
from edged.config.source import SOURCES
from edged.sources import discovery
from edged.sources.sound_config import LEVEL
from edged.tools.doctor.verdict import Verdict, absent, error, ok, together, warning

if TYPE_CHECKING:
    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.worker_runs import Run, Workers

COUNT = 3  # windows that are judged
LONGEST_S = 30.0  # for all microphones at once
MOST = 8
SILENT_DBFS = -100.0  # a microphone that works has more noise of its own
_WINDOW_S = 0.1


async def microphones(subject: Subject, workers: Workers) -> Verdict:
    """Look for microphones, and listen to all that nobody uses."""
    verdicts: list[Verdict] = []
    wanted: dict[str, PipelineSection] = {}
    named = set()
    for name, pipeline in subject.config.pipelines.items() if subject.config is not None else ():
        source = pipeline.source
        if not pipeline.enabled or LEVEL not in source.measures or not source.holds:
            continue
        named |= {(source.kind, device) for device in source.holds.values()}
        if subject.runs(name):
            verdicts.append(ok(f"{name}: the running daemon has it"))
        else:
            wanted[name] = _section(source)
    configured = set(wanted)
    for found in discovery.microphones(subject.root):
        kind = found.keys["kind"]
        if named.isdisjoint((kind, alias) for alias in found.aliases):
            wanted[f"{found.name} ({found.place})"] = _section(SOURCES.read(found.keys))
    sections = dict(list(wanted.items())[:MOST])
    if sections:
        runs = await workers.run(sections, count=COUNT, seconds=LONGEST_S)
        verdicts += [_of(name, run, needed=name in configured) for name, run in runs.items()]
    return together(verdicts) if verdicts else absent("no sound card records (arecord -l)")


def _section(source: Any) -> PipelineSection:
    """Return a pipeline that listens without a model: it judges how unlike the usual each window is."""
    listens = source.model_copy(update={"window_s": _WINDOW_S, "hop_s": _WINDOW_S})
    return PipelineSection.model_validate({"source": listens, "task": {"kind": "anomaly"}})


def _of(name: str, run: Run, *, needed: bool) -> Verdict:
    """Judge a microphone; one that no pipeline needs is never an error."""
    wrong = error if needed else warning
    if run.outcomes:
        level = max(reading.value or 0 for outcome in run.outcomes for reading in outcome.readings)
        if level < SILENT_DBFS:
            fix = "alsamixer (F4) shows whether it is muted; check its switch and cable"
            return wrong(f"{name}: gives digital silence", fix)
        return ok(f"{name}: gives sound ({level:.0f} dBFS)")
    if run.fault is None:
        return wrong(f"{name}: no sound within {LONGEST_S:g} s", "unplug it and plug it in again")
    what = f"{name}: {run.fault.last_error}"
    if run.fault.reason == "busy":
        return warning(what, "end what records from it")
    return wrong(what, "arecord -l lists the cards; dmesg says more")
