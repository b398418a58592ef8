"""Runs the bundled model for real, on the CPU."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from edged.config.root import PipelineSection
from edged.models import bundled
from edged.system.isolation import REMEDY, in_words, not_isolated, suffices
from edged.tools.doctor.verdict import Verdict, error, ok, skipped, warning

if TYPE_CHECKING:
    from edged.config.root import Config
    from edged.tools.doctor.worker_runs import Run, Workers

COUNT = 10  # inferences that the median is of
CPU_S = 90.0  # for the fork server's imports too, on a slow board
PHOTOGRAPH = {**bundled.SOURCE, "path": bundled.PHOTO, "loop": True, "interval_s": 0}
_PATIENT = {"open_s": 60, "capture_s": 15, "invoke_s": 60}


async def on_cpu(workers: Workers) -> Run:
    """Have a worker classify a bundled photograph."""
    section = PipelineSection.model_validate({"source": PHOTOGRAPH, "deadlines": _PATIENT})
    return (await workers.run({"doctor": section}, count=COUNT, seconds=CPU_S))["doctor"]


def cpu_inference(run: Run, last_words: str = "") -> Verdict:
    """Judge the answer, and the time it took."""
    if run.fault is not None:
        more = f" ({last_words})" if last_words and run.fault.fault == "defect" else ""
        return error(f"{run.fault.last_error}{more}", "see the check runtime")
    if len(run.outcomes) < COUNT:
        return error(f"{len(run.outcomes)} inferences within {CPU_S:g} s", "another program may use the CPU")
    detail = answered(run)
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


def answered(run: Run) -> str:
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
