"""Runs the configured models for real on the accelerators: Edge TPUs, and those of external delegates."""

from __future__ import annotations

import os
import platform
import re
from typing import TYPE_CHECKING

from edged.config.accelerator import Accelerator
from edged.config.root import PipelineSection
from edged.models import libedgetpu, runtimes
from edged.models.runtimes import GASKET
from edged.supervisor import AcceleratorPresence
from edged.system import board
from edged.tools import machine
from edged.tools.doctor.checks.inference import COUNT, PHOTOGRAPH, answered
from edged.tools.doctor.probe import Unanswered, answer, ask
from edged.tools.doctor.verdict import Verdict, absent, error, ok, skipped, together, warning

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import Config
    from edged.supervisor import PipelineStatus
    from edged.tools.doctor.probe import Ask
    from edged.tools.doctor.subject import Subject
    from edged.tools.doctor.worker_runs import Run, Workers

STARTED_S = 20.0  # for a worker to be forked
PAGE_BYTES = 4096  # of memory, the only size that the driver of the Edge TPU on PCIe works with
_LIBRARY = re.compile("libedgetpu1-(std|max)$")  # the Debian packages
_EXTERNAL = (
    "check library and options; its device nodes (nodes) have to be allowed to the service's user and unit"
)
_CONVERT = "convert the model for it (many NPUs take 8-bit models alone), or run it on the CPU"
_NOTHING_TAKEN = "takes no operator of the model"  # of edged.inference.external, in a worker's log
_CRASHES = ("SIGSEGV", "SIGABRT")
_BROKEN = "it was probably built for another TensorFlow Lite"


async def edgetpu(subject: Subject, workers: Workers, asked: Ask = ask) -> Verdict:
    """Judge the Edge TPU: whether one is present, its driver, its library, and the models on it."""
    cards = card(subject, os.sysconf("SC_PAGE_SIZE"))
    if cards is not None and cards.status == "error":
        return cards
    found = await _usable(subject, workers, asked)
    if found.status == "absent":
        return cards or found
    pair = _pair(subject) if found.status != "ok" else None  # what works, works
    return together([verdict for verdict in (cards, found, pair) if verdict is not None])


def card(subject: Subject, page_bytes: int) -> Verdict | None:
    """Judge whether the kernel can drive the Edge TPUs on PCIe; None where nothing is wrong.

    Args:
        subject: what is examined.
        page_bytes: the size of this machine's memory pages.
    """
    cards = board.coral_cards(subject.root)
    remedies, problems = [], []
    if cards and page_bytes > PAGE_BYTES:
        problems.append(f"its driver does not work with memory pages of {page_bytes // 1024} KiB")
        remedies.append("write kernel=kernel8.img into /boot/firmware/config.txt (pages of 4 KiB) and reboot")
    if cards and not list(subject.root.glob("dev/apex_*")):
        problems.append("its driver is missing: there is no /dev/apex_*")
        remedies.append(f"install the package gasket-dkms: {GASKET} (Google's does not build on Linux 6.12)")
    if not problems:
        return None
    wanted = any(
        not section.accelerator.port.startswith("usb") for section in _on("edgetpu", subject.config).values()
    )
    what = f"there is an Edge TPU on PCIe ({', '.join(cards)}), and {', and '.join(problems)}"
    return (error if wanted else warning)(what, "; ".join(remedies))


async def _usable(subject: Subject, workers: Workers, asked: Ask) -> Verdict:
    there = sorted(AcceleratorPresence(subject.root).devices())
    wanted = _on("edgetpu", subject.config)
    if not there and not wanted:
        return absent("no Edge TPU (USB 1a6e:089a or 18d1:9302, /dev/apex_*)")
    if used := [name for name in wanted if _daemon_has_it(subject, name)]:
        return _of_daemon(subject, used)
    needed = any(section.accelerator.policy == "require" for section in wanted.values())
    for library in {section.accelerator.library for section in wanted.values()} or {Accelerator().library}:
        try:
            await answer(asked, "library", library)
        except Unanswered as why:
            remedy = _install(subject)
            return (error if there or needed else absent)(
                str(why), remedy if why.told else f"{_BROKEN}: {remedy}"
            )
    if not wanted:
        what = f"an Edge TPU is there ({', '.join(there)}), and no pipeline uses it"
        return skipped(
            what, "write model.edgetpu_file, a model compiled for it, and accelerator.policy: prefer"
        )
    runs = await _runs(wanted, workers)
    remedy = _install(subject)
    return together([_of_tpu(name, runs[name], wanted[name].accelerator, there, remedy) for name in wanted])


def _runtime(subject: Subject) -> str:
    """Return the runtime that the Edge TPU's library has to be built for."""
    for section in _on("edgetpu", subject.config).values():
        if section.model.runtime != "auto":
            return section.model.runtime
    return next(iter(runtimes.available()), "litert")


def _install(subject: Subject) -> str:
    return libedgetpu.remedy(_runtime(subject), platform.machine())


def _pair(subject: Subject) -> Verdict | None:
    """Judge whether the installed package goes with the runtime; None where nothing is wrong."""
    runtime = _runtime(subject)
    for name, version in machine.debian(subject.root, _LIBRARY).items():
        if not libedgetpu.fits(version, runtime):
            what = f"{name} {version} is not the build that goes with {runtime}"
            return warning(what, _install(subject))
    return None


async def external(subject: Subject, workers: Workers) -> Verdict:
    """Judge the accelerators that external delegates drive, by the models on them."""
    wanted = _on("external", subject.config)
    if not wanted:
        return absent("no pipeline runs its model through an external delegate")
    if used := [name for name in wanted if _daemon_has_it(subject, name)]:
        return _of_daemon(subject, used)
    runs = await _runs(wanted, workers)
    # A delegate does not say so itself, and events would have its name.
    idle = [line for line in workers.printed if _NOTHING_TAKEN in line]
    verdicts = [_of_external(name, runs[name], wanted[name].accelerator) for name in wanted]
    return together([*verdicts, *(warning(line, _CONVERT) for line in dict.fromkeys(idle))])


def _of_external(name: str, run: Run, accelerator: Accelerator) -> Verdict:
    if run.fault is None:
        if run.outcomes:
            return ok(f"{name}: {answered(run)}")
        return error(f"{name}: no inference in time", "dmesg may show what its driver does")
    what, fix = f"{name}: {run.fault.last_error}", _EXTERNAL
    if run.fault.fault == "model":
        fix = _CONVERT
    if any(crash in run.fault.last_error for crash in _CRASHES):
        fix = "install the build of this library for the TensorFlow Lite of this runtime"
    if accelerator.policy == "prefer":
        return warning(f"{what}; the CPU is used instead", fix)
    return error(what, fix)


async def _runs(wanted: Mapping[str, PipelineSection], workers: Workers) -> Mapping[str, Run]:
    sections = {name: _required(section) for name, section in wanted.items()}
    limits = [section.deadlines for section in wanted.values()]
    seconds = STARTED_S + max(3 * d.open_s + d.accelerator_s + d.invoke_s for d in limits)
    return await workers.run(sections, count=COUNT, seconds=seconds)


def _of_tpu(name: str, run: Run, accelerator: Accelerator, there: list[str], install: str) -> Verdict:
    fault = run.fault
    if fault is None:
        if run.outcomes:
            return ok(f"{name}: {answered(run)}")
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
    return error(what, _remedy(fault, install))


def _remedy(fault: PipelineStatus, install: str) -> str:
    """Return what to do about an Edge TPU that is there and does not work.

    Args:
        fault: what its pipeline reported.
        install: the library that would fit.
    """
    if fault.reason == "denied":
        return "sudo usermod -aG plugdev USER (of the service); sudo systemctl restart edged"
    if fault.reason == "busy":
        return "stop the other program, or give it another Edge TPU"
    if fault.fault == "model":
        return "see the check configuration"
    if any(crash in fault.last_error for crash in _CRASHES):
        return f"plug it in again; if that does not help, {_BROKEN}: {install}"
    return "unplug it and plug it in again, on a port or hub with enough power; sudo apt full-upgrade"


def _on(kind: str, config: Config | None) -> dict[str, PipelineSection]:
    """Return the pipelines that are to run on a kind of accelerator, by name."""
    pipelines = config.pipelines.items() if config is not None else ()
    return {
        name: section for name, section in pipelines if section.enabled and section.accelerator.kind == kind
    }


def _daemon_has_it(subject: Subject, name: str) -> bool:
    """Return whether a worker of the daemon holds it; one that waits for its camera does, too."""
    says, lives = subject.daemon_says(name), name in subject.daemon.get("processes", {})
    return lives and says.get("accelerator") not in {None, "cpu"} and not says.get("degraded")


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
        source=PHOTOGRAPH,
        model=section.model,
        accelerator=accelerator,
        deadlines=section.deadlines,
    )
