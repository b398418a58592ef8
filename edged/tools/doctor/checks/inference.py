"""Runs models for real: the bundled one on the CPU, the configured ones on the Edge TPU."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from edged.config.pipeline import Accelerator
from edged.config.root import PipelineSection
from edged.models import bundled
from edged.models.runtimes import LIBEDGETPU
from edged.supervisor import AcceleratorPresence
from edged.system.isolation import REMEDY, in_words, not_isolated, suffices
from edged.tools.doctor.probe import Unanswered, answer, ask
from edged.tools.doctor.verdict import Verdict, absent, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import Config
    from edged.supervisor import PipelineStatus
    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.worker_runs import Run, Workers

COUNT = 10  # inferences that the median is of
CPU_S = 90.0  # for the fork server's imports too, on a slow board
STARTED_S = 20.0  # for a worker to be forked
_PHOTOGRAPH = {**bundled.SOURCE, "path": bundled.PHOTO, "loop": True, "interval_s": 0}
_PATIENT = {"open_s": 60, "capture_s": 15, "invoke_s": 60}
_INSTALL = f"install the libedgetpu that is built for the TensorFlow Lite of this runtime: {LIBEDGETPU}"
_BROKEN = f"it was probably built for another TensorFlow Lite; {_INSTALL}"


async def on_cpu(workers: Workers) -> Run:
    """Have a worker classify a bundled photograph."""
    section = PipelineSection.model_validate({"source": _PHOTOGRAPH, "deadlines": _PATIENT})
    return (await workers.run({"doctor": section}, count=COUNT, seconds=CPU_S))["doctor"]


def cpu_inference(run: Run, last_words: str = "") -> Verdict:
    """Judge the answer, and the time it took."""
    if run.fault is not None:
        more = f" ({last_words})" if last_words and run.fault.fault == "defect" else ""
        return error(f"{run.fault.last_error}{more}", "see the check runtime")
    if len(run.outcomes) < COUNT:
        return error(f"{len(run.outcomes)} inferences within {CPU_S:g} s", "another program may use the CPU")
    detail = _answer(run)
    if run.outcomes[-1].label != bundled.ANSWER:
        fix = "this runtime miscalculates here: install another version of ai-edge-litert"
        return error(f"{detail}, which is a photograph of {bundled.ANSWER}", fix)
    return ok(detail)


def isolation(run: Run, config: Config | None) -> Verdict:
    """Judge the walls around a worker, as the worker found them when it tried."""
    status = run.status
    if status is None or status.model is None:
        return skipped("no worker ran (see cpu-inference)")
    if suffices(status.isolation):
        return ok(f"the process that holds pictures has {in_words(status.isolation)}")
    what = not_isolated("a worker", status.isolation)
    if config is not None and config.isolation == "optional":
        return warning(what, REMEDY)
    return error(what, REMEDY)


async def edgetpu(subject: Subject, workers: Workers, asked: Ask = ask) -> Verdict:
    """Judge the Edge TPU: whether one is present, its library, and the models on it."""
    there = sorted(AcceleratorPresence(subject.root).devices())
    wanted = _on_tpu(subject.config)
    if not there and not wanted:
        return absent("no Edge TPU (USB 1a6e:089a or 18d1:9302, /dev/apex_*)")
    if used := [name for name in wanted if _daemon_has_it(subject, name)]:
        return _of_daemon(subject, used)
    needed = any(section.accelerator.policy == "require" for section in wanted.values())
    for library in {section.accelerator.library for section in wanted.values()} or {Accelerator().library}:
        try:
            await answer(asked, "library", library)
        except Unanswered as why:
            return (error if there or needed else absent)(str(why), _INSTALL if why.told else _BROKEN)
    if not wanted:
        what = f"an Edge TPU is there ({', '.join(there)}), and no pipeline uses it"
        return skipped(
            what, "write model.edgetpu_file, a model compiled for it, and accelerator.policy: prefer"
        )
    return await _invoked(wanted, there, workers)


async def _invoked(wanted: Mapping[str, PipelineSection], there: list[str], workers: Workers) -> Verdict:
    sections = {name: _required(section) for name, section in wanted.items()}
    limits = [section.deadlines for section in wanted.values()]
    seconds = STARTED_S + max(3 * d.open_s + d.accelerator_s + d.invoke_s for d in limits)
    runs = await workers.run(sections, count=COUNT, seconds=seconds)
    return together([_of_tpu(name, runs[name], wanted[name].accelerator, there) for name in sections])


def _of_tpu(name: str, run: Run, accelerator: Accelerator, there: list[str]) -> Verdict:
    fault = run.fault
    if fault is None:
        if run.outcomes:
            return ok(f"{name}: {_answer(run)}")
        return error(f"{name}: no inference in time", "unplug the Edge TPU and plug it in again")
    what = f"{name}: {fault.last_error}"
    if fault.reason == "absent":
        if not there and accelerator.policy == "prefer":
            return absent(
                f"{what}; the CPU is used instead", "plug it in; pipelines switch to it automatically"
            )
        fix = (
            "plug it in"
            if not there
            else "sudo usermod -aG plugdev USER (of the service), and plug it in again"
        )
        return error(what, fix)
    return error(what, _remedy(fault))


def _remedy(fault: PipelineStatus) -> str:
    """Return what to do about an Edge TPU that is there and does not work."""
    if fault.reason == "denied":
        return "sudo usermod -aG plugdev USER (of the service); sudo systemctl restart edged"
    if fault.reason == "busy":
        return "stop the other program, or give it another Edge TPU"
    if fault.fault == "model":
        return "see the check configuration"
    if "SIGSEGV" in fault.last_error or "SIGABRT" in fault.last_error:
        return f"plug it in again; if that does not help: {_BROKEN}"
    return "unplug it and plug it in again, on a port or hub with enough power; sudo apt full-upgrade"


def _on_tpu(config: Config | None) -> dict[str, PipelineSection]:
    """Return the pipelines that are to run on an Edge TPU, by name."""
    pipelines = config.pipelines.items() if config is not None else ()
    return {
        name: section
        for name, section in pipelines
        if section.enabled and section.accelerator.policy != "cpu"
    }


def _daemon_has_it(subject: Subject, name: str) -> bool:
    """Return whether a worker of the daemon holds it; one that waits for its camera does, too."""
    says, lives = subject.daemon_says(name), name in subject.daemon.get("processes", {})
    return lives and says.get("accelerator") == "edgetpu" and not says.get("degraded")


def _of_daemon(subject: Subject, names: list[str]) -> Verdict:
    says = {name: subject.daemon_says(name) for name in names}
    if not any(map(subject.runs, names)):
        waits = "; ".join(f"{name}: {said.get('last_error') or 'starting'}" for name, said in says.items())
        return skipped(f"the running daemon has it, and does not run a model: {waits}", "edged status")
    times = (
        f"{name} {median} ms"
        for name, said in says.items()
        if (median := said["invoke_ms"]["p50"]) is not None
    )
    return ok(f"the running daemon has it: {', '.join(times) or 'no frame was classified yet'}")


def _required(section: PipelineSection) -> PipelineSection:
    """Return a pipeline that runs the model on the Edge TPU on a photograph."""
    accelerator = section.accelerator.model_copy(update={"policy": "require"})
    return PipelineSection(
        source=_PHOTOGRAPH,
        model=section.model,
        accelerator=accelerator,
        deadlines=section.deadlines,
    )


def _answer(run: Run) -> str:
    """Return the last answer and the time it took, in words."""
    last, status = run.outcomes[-1], run.status
    # The first one also pays for what is done only once.
    median = statistics.median(outcome.invoke_ms for outcome in run.outcomes[1:] or run.outcomes)
    by = (
        f"{status.model.name} on {status.accelerator} with {status.runtime}"
        if status and status.model
        else ""
    )
    return f"{last.label} {last.score:.2f} in {median:.1f} ms (median of {len(run.outcomes)}; {by})"
