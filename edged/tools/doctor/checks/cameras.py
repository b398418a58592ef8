"""Cameras: which there are, and whether a worker gets pictures from each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edged.config.root import PipelineSection
from edged.config.source import SOURCES
from edged.tools.doctor.checks import service
from edged.tools.doctor.probe import Unanswered, answer, ask
from edged.tools.doctor.verdict import Verdict, absent, error, ok, together, warning

if TYPE_CHECKING:
    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.worker_runs import Run, Workers

COUNT = 2  # pictures: the second one is of a camera that streams
OPEN_S, CAPTURE_S = 15.0, 8.0
LONGEST_S = 45.0  # for all cameras at once
MOST = 8  # cameras that are opened
_KINDS = ("v4l2", "picamera2")
_APT = "sudo apt install python3-picamera2, and a virtual environment with --system-site-packages"


async def cameras(subject: Subject, workers: Workers, asked: Ask = ask) -> Verdict:
    """Look for cameras, and take pictures with all that nobody uses."""
    verdicts: list[Verdict] = []
    wanted = _configured(subject, verdicts)
    await _found(subject, asked, wanted, verdicts)
    sections = dict(list(wanted.items())[:MOST])
    if sections:
        runs = await workers.run(sections, count=COUNT, seconds=LONGEST_S)
        verdicts += [_of(name, run, daemon=bool(subject.daemon)) for name, run in runs.items()]
    return together(verdicts) if verdicts else absent("no camera: nothing captures at /dev/video*, or at CSI")


def _configured(subject: Subject, verdicts: list[Verdict]) -> dict[str, PipelineSection]:
    """Return what the configuration names, unless the daemon uses it just now."""
    sections = {}
    for name, pipeline in subject.config.pipelines.items() if subject.config is not None else ():
        if not pipeline.enabled or pipeline.source.kind not in _KINDS:
            continue
        if subject.runs(name):
            verdicts.append(ok(f"{name}: the running daemon has it"))
        sections[name] = _section(pipeline.source)
    return sections


async def _found(
    subject: Subject, asked: Ask, wanted: dict[str, PipelineSection], verdicts: list[Verdict]
) -> None:
    """Add what the configuration does not name, and take away what the daemon has."""
    named = {_key(section.source) for section in wanted.values()}
    for name in list(wanted):
        if subject.runs(name):
            del wanted[name]
    try:
        there = await answer(asked, "machine", str(subject.root))
    except Unanswered as why:
        verdicts.append(error(str(why), "unplug the cameras one by one; dmesg says more"))
        return
    for device, node, name in there["cameras"]:
        if {device, node}.isdisjoint(named) and ("auto" not in named or device != there["cameras"][0][0]):
            wanted[f"{name} ({device})"] = _section({"kind": "v4l2", "device": device})
    if there["pi_camera"]:
        await _libcamera(asked, named, wanted, verdicts)


async def _libcamera(
    asked: Ask, named: set[str], wanted: dict[str, PipelineSection], verdicts: list[Verdict]
) -> None:
    try:
        models = (await answer(asked, "picamera2"))["models"]
    except Unanswered as why:
        verdicts.append(error(f"a camera may be at the CSI connector: {why}", _APT))
        return
    if not models:
        verdicts.append(
            warning(
                "libcamera finds no camera at the CSI connector",
                "check its cable; rpicam-hello --list-cameras",
            )
        )
    for number, model in enumerate(models):
        if f"picamera2 {number}" not in named:
            wanted[f"{model} (CSI {number})"] = _section({"kind": "picamera2", "camera": number})


def _key(source: Any) -> str:
    return str(source.device) if source.kind == "v4l2" else f"picamera2 {source.camera}"


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
        return ok(what) if daemon else warning(what, "end what holds it: only one program gets its pictures")
    if fault.reason == "denied":
        return error(what, f"sudo usermod -aG video {service.me()}, then log in again")
    if fault.fault == "driver":
        return error(what, "look at the check drivers")
    return error(what, "check its cable, port and power; dmesg says more")
