"""Checks cameras: which are present, and whether a worker gets pictures from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.config.root import PipelineSection
from edged.config.source import SOURCES
from edged.sources import discovery
from edged.tools.doctor.checks import service
from edged.tools.doctor.probe import Unanswered, answer, ask
from edged.tools.doctor.verdict import Verdict, absent, error, ok, together, warning

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.worker_runs import Run, Workers

COUNT = 2  # pictures: the second one is of a camera that streams
OPEN_S, CAPTURE_S = 20.0, 8.0
LONGEST_S = 45.0  # for all cameras at once
MOST = 8  # cameras that are opened
_END_IT = "end what holds it: only one program gets its pictures"


async def cameras(subject: Subject, workers: Workers, asked: Ask = ask) -> Verdict:
    """Look for cameras, and take pictures with all that nobody uses."""
    verdicts: list[Verdict] = []
    wanted = _configured(subject, verdicts)
    await _found(subject, asked, wanted, verdicts)
    sections = dict(list(wanted.items())[:MOST])
    if sections:
        runs = await workers.run(sections, count=COUNT, seconds=LONGEST_S)
        verdicts += [_of(name, run, daemon=bool(subject.daemon)) for name, run in runs.items()]
    return (
        together(verdicts) if verdicts else absent("no capture device at /dev/video* or on the CSI connector")
    )


def _configured(subject: Subject, verdicts: list[Verdict]) -> dict[str, PipelineSection]:
    """Return the pipelines with a camera, and report those that the daemon uses just now.

    Of those that share a camera it is one, where the daemon runs any of them one that runs.
    """
    sections: dict[str, PipelineSection] = {}
    shared: set[str] = set()
    pipelines = subject.config.pipelines if subject.config is not None else {}
    for name, pipeline in sorted(pipelines.items(), key=lambda item: not subject.runs(item[0])):
        if not pipeline.enabled or pipeline.source.gives != "picture" or not pipeline.source.holds:
            continue
        if pipeline.camera in shared:
            continue
        shared |= {pipeline.camera} if pipeline.camera is not None else set()
        if subject.runs(name):
            verdicts.append(ok(f"{name}: the running daemon has it"))
        sections[name] = _section(pipeline.source)
    return sections


async def _found(
    subject: Subject, asked: Ask, wanted: dict[str, PipelineSection], verdicts: list[Verdict]
) -> None:
    """Add what the configuration does not name, and take away what the daemon has."""
    sources = [section.source for section in wanted.values()]
    named = {(source.kind, device) for source in sources for device in source.holds.values()}
    busy = {section.source.kind: name for name, section in wanted.items() if subject.runs(name)}
    for name in list(wanted):
        if subject.runs(name):
            del wanted[name]
    try:
        there = await answer(asked, "cameras", str(subject.root))
    except Unanswered as why:
        verdicts.append(error(str(why), "unplug the cameras one by one; dmesg says more"))
        return
    left = _leave_alone(subject, there["identify"], wanted, busy, verdicts)
    for camera in there["cameras"]:
        kind = camera["keys"]["kind"]
        if user := left.get(kind):
            if kind not in busy:
                verdicts.append(warning(f"{camera['name']}: in use (held by {user})", _END_IT))
            continue
        for each in await _identified(asked, camera, verdicts) if kind in there["identify"] else [camera]:
            if named.isdisjoint((kind, alias) for alias in each["aliases"]):
                wanted[f"{each['name']} ({each['place']})"] = _section(each["keys"])


def _leave_alone(
    subject: Subject,
    kinds: Iterable[str],
    wanted: dict[str, PipelineSection],
    busy: Mapping[str, str],
    verdicts: list[Verdict],
) -> dict[str, str]:
    """Return who uses a camera, by the kinds of which only the vendor's package knows the cameras.

    To list them disturbs one that streams: libcamera resets the flips of each sensor.
    """
    left = {kind: busy.get(kind) or discovery.in_use(kind) for kind in kinds}
    for name, section in list(wanted.items()):
        if user := left.get(section.source.kind):
            verdicts.append(_left_alone(name, user, subject))
            del wanted[name]
    return left


def _left_alone(name: str, user: str, subject: Subject) -> Verdict:
    """Report a camera that is not opened, as a pipeline or another program uses one of its kind."""
    told = subject.daemon_says(name).get("last_error")
    what = f"{name}: not opened, as that would disturb {user}, which uses a camera of the same kind"
    fix = "stop the service, then run edged doctor again"
    return warning(f"{what}; it reports: {told}", fix) if told else ok(what)


async def _identified(asked: Ask, camera: Mapping[str, Any], verdicts: list[Verdict]) -> list[Any]:
    """Return the cameras that the vendor's package knows where sysfs says only that there may be one."""
    kind, name = camera["keys"]["kind"], camera["name"]
    try:
        found: list[Any] = (await answer(asked, "identify", kind))["cameras"]
    except Unanswered as why:
        detail, _, fix = str(why).rpartition(": ") if why.told else (str(why), "", "")
        verdicts.append(error(f"{name} may be there: {detail or fix}", fix or "see the check drivers"))
        return []
    if not found:
        what = f"{kind} does not see {name}, though its connector is there"
        verdicts.append(warning(what, "check its cable; rpicam-hello --list-cameras"))
    return found


def _section(source: Any) -> PipelineSection:
    """Return a pipeline that looks through a camera as fast as it goes."""
    if isinstance(source, dict):
        source = SOURCES.read(source)
    limits = {"open_s": OPEN_S, "capture_s": CAPTURE_S, "invoke_s": OPEN_S}
    return PipelineSection.model_validate(
        {"source": source.model_copy(update={"interval_s": 0.0}), "deadlines": limits}
    )


def _of(name: str, run: Run, *, daemon: bool) -> Verdict:
    fault = run.fault
    if run.outcomes:
        return ok(f"{name}: gives pictures ({run.outcomes[-1].capture_ms:.0f} ms each)")
    if fault is None:
        return error(f"{name}: no picture within {LONGEST_S:g} s", "unplug it and plug it in again")
    what = f"{name}: {fault.last_error}"
    if fault.reason == "busy":
        return ok(what) if daemon else warning(what, _END_IT)
    if fault.reason == "denied":
        return error(what, f"sudo usermod -aG video {service.me()}, then log in again")
    if fault.fault == "driver":
        return error(what, "see the check drivers")
    return error(what, "check its cable, port and power; dmesg says more")
