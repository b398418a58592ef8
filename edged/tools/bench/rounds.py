"""Makes the measurements in interleaved rounds, and combines the results."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from edged.config.needs import of_accelerator
from edged.ipc.bench_request import NOISE, BenchRequest
from edged.models import bundled, catalogue
from edged.models.taught.store import EMBEDDER, HEAD
from edged.system.child import ChildFailed, answers
from edged.system.isolation import not_isolated
from edged.system.needs import Needs, folders_of
from edged.system.quantiles import share
from edged.tools.bench import thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from edged.models.catalogue import Entry
    from edged.tools.bench.plan import Candidate, Plan

ROUNDS = 3
PATIENCE_S = 60.0  # without an answer: slow boards import for 10 s, and large models run for seconds


class Watcher(Protocol):
    """Receives the progress of the measurements."""

    def begin(self, steps: int) -> None:
        """Take the number of processes that will be started."""

    def step(self, words: str) -> None:
        """Take the description of the next process."""

    def progress(self, part: float) -> None:
        """Take the progress of the current process, 0..1."""

    def note(self, sentence: str) -> None:
        """Take a note for the user."""


@dataclass
class Case:
    """One measurement, and the results of its rounds so far.

    Attributes:
        problem: why it failed; empty if it has not.
    """

    candidate: Candidate
    runtime: str
    threads: int
    problem: str = ""
    invoke_ms: list[float] = field(default_factory=list)
    prepare_ms: list[float] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """The measurement in words."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        on = "" if self.candidate.accelerator == "cpu" else f", {self.candidate.accelerator}"
        return f"{self.candidate.path.name} on {self.runtime}{on}, {threads}"

    def add(self, found: dict[str, Any]) -> None:
        """Add the result of a round."""
        self.invoke_ms += found.pop("invoke_ms")
        self.prepare_ms += found.pop("prepare_ms")
        for name in ("rss_mb", "model_mb"):
            found[name] = max(found[name], self.found.get(name, 0.0))
        self.found |= found

    def result(self, *, judged: bool, thresholds_too: bool = False) -> dict[str, Any]:
        """Return the combined result as JSON-ready data.

        Args:
            judged: there were photographs with right answers.
            thresholds_too: add what thresholds would do to the answers.
        """
        model, found = self.candidate, {} if self.problem else self.found
        images = found.get("images")
        said = [thresholds.Said(*answer) for answer in found.get("said", ())]
        more = thresholds.report(said) if thresholds_too and said else {}
        return {
            **more,
            "model": str(model.path),
            "runtime": self.runtime,
            "threads": self.threads,
            "accelerator": model.accelerator,
            "top1": round(found["first"] / images, 4) if images else None,
            "top1_interval": _interval(found["first"], images) if images else None,
            "top5": round(found["among"] / images, 4) if images else None,
            "images": images,
            "unreadable": len(found["unreadable"]) if judged and found else None,
            "latency_ms": _spread(() if self.problem else self.invoke_ms),
            "prepare_ms": _spread(() if self.problem else self.prepare_ms),
            "count": 0 if self.problem else len(self.invoke_ms),
            "size_bytes": model.size,
            "rss_mb": found.get("rss_mb"),
            "model_mb": found.get("model_mb"),
            "sha256": model.sha256 or None,
            "normalize": found.get("normalize"),
            "tried": found.get("tried"),
            "input": list(model.picture) if model.picture else None,
            "classes": model.classes,
            "family": _family(model),
            "published": _published(model),
            "isolation": found.get("isolation"),
            "error": self.problem or None,
        }


def _interval(right: int, count: int) -> list[float]:
    return [round(bound, 4) for bound in thresholds.interval(right, count)]


def _entry(model: Candidate) -> Entry | None:
    """Return the entry of the catalogue that has this very file, or else its name."""
    entries = catalogue.entries()
    same = (entry for entry in entries.values() if entry.sha256 and entry.sha256 == model.sha256)
    return next(same, entries.get(model.path.stem))


def _family(model: Candidate) -> str:
    """Return the family of a model: that of the catalogue, or the first words of its name."""
    if model.sha256 == bundled.MODEL_SHA256:
        return "EfficientNet-Lite"
    entry = _entry(model)
    if entry is not None:
        return entry.family
    return re.split(r"[\d._ -]", model.path.stem.removesuffix("_quant"), maxsplit=1)[0] or model.path.stem


def _published(model: Candidate) -> float | None:
    """Return the accuracy that was published for it, 0..1; None where the catalogue has none."""
    entry = _entry(model)
    return entry.top1 / 100 if entry is not None and entry.top1 is not None else None


def _spread(values: Iterable[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    return {f"p{part}": round(share(ordered, part / 100), 3) if ordered else None for part in (50, 95)}


def measure(plan: Plan, watcher: Watcher) -> list[dict[str, Any]]:
    """Measure each model with each runtime and each number of threads; return a result for each."""
    cases = [
        Case(candidate, runtime, threads, candidate.problem)
        for candidate, runtime, threads in itertools.product(plan.candidates, plan.runtimes, plan.threads)
    ]
    noted: set[str] = set()
    _note_once(watcher, noted, (case.problem for case in cases))
    watcher.begin(ROUNDS * sum(not case.problem for case in cases))
    for number in range(ROUNDS):
        for case in reversed(cases) if number % 2 else cases:
            if not case.problem:
                watcher.step(f"round {number + 1} of {ROUNDS}: {case.words}")
                _round(case, plan, watcher, judges=not number)
                _note_once(watcher, noted, _notes(case))
    return [case.result(judged=bool(plan.answers), thresholds_too=plan.thresholds) for case in cases]


def _round(case: Case, plan: Plan, watcher: Watcher, *, judges: bool) -> None:
    model = case.candidate
    request = BenchRequest(
        model=str(model.path / EMBEDDER if model.taught else model.path),
        sha256=model.sha256,
        labels=model.labels,
        pictures=(NOISE,) if (model.sound or model.text) and not plan.answers else plan.pictures,
        answers=plan.answers if judges else (),
        runtime=case.runtime,
        threads=case.threads,
        accelerator=model.accelerator,
        device=model.device,
        library=plan.delegate if model.accelerator == "external" else plan.library,
        options=dict(plan.delegate_options) if model.accelerator == "external" else {},
        model_keys=dict(model.model_keys),
        unsure=model.unsure,
        seconds=plan.seconds / ROUNDS,
        head=str(model.path.absolute() / HEAD) if model.taught else "",
    )
    try:
        case.add(ask(request, watcher.progress))
    except ChildFailed as failed:
        of_tpu = "it is compiled for the Edge TPU: " if model.device else ""
        case.problem = f"{model.path}: {of_tpu}{str(failed).removeprefix(f'{model.path}: ')}"


def ask(request: BenchRequest, progress: Callable[[float], None]) -> dict[str, Any]:
    """Run one round in a process of its own, without a network.

    Args:
        request: what to measure.
        progress: takes how much of the photographs is done, 0..1.

    Returns:
        What was found, such as ``invoke_ms``.

    Raises:
        ChildFailed: the model cannot be used, or the process hung or crashed.
    """
    reached = answers("edged.worker.bench", request.to_json(), PATIENCE_S, _needs(request))
    with contextlib.closing(reached) as received:
        for answer in received:
            if "error" in answer:
                raise ChildFailed(answer["error"])
            if "found" in answer:
                found: dict[str, Any] = answer["found"]
                return found
            progress(answer["done"] / len(request.pictures))
    raise ChildFailed("its process ended without an answer")


def _needs(request: BenchRequest) -> Needs:
    """Return what a measurement reaches: the model, the photographs, and an Edge TPU where it is for one."""
    files = [path for path in request.pictures if path != NOISE]
    model, *pictures = map(os.path.abspath, (request.model, *files))
    folders = folders_of([*pictures, os.path.realpath(model)])
    needed = Needs(files=(model, *folders, *([request.head] if request.head else [])))
    return needed | of_accelerator(request.accelerator, request.library, request.device)


def _notes(case: Case) -> list[str]:
    notes = [f"{path} is left out: it is not a whole picture" for path in case.found.get("unreadable", ())]
    if not case.found.get("isolation", True):
        notes.append(not_isolated("WARNING: the process that holds the pictures"))
    if tried := case.found.get("tried"):
        notes.append(_compared(case, tried))
    if not case.found.get("takes_part", True):
        notes.append(f"{case.candidate.path}: the delegate takes no operator of it: the CPU ran all of it")
    return [*notes, case.problem] if case.problem else notes


def _compared(case: Case, tried: dict[str, float]) -> str:
    """Return what the usual values gave, where nothing says which ones the model wants."""
    best = case.found["normalize"]
    told = f"{case.candidate.path.name} does not say which values its input wants"
    others = ", ".join(f"{name} {100 * top1:.0f} %" for name, top1 in tried.items() if name != best)
    right = f"{100 * tried[best]:.0f} % right"
    if best == case.found["assumed"]:
        return f"{told}; none of the usual ones answers better than {best}: {right} (the others: {others})"
    return f"{told}; {best} answers best: {right} (the others: {others}). Write normalize: {best}"


def _note_once(watcher: Watcher, noted: set[str], sentences: Iterable[str]) -> None:
    """Pass on the sentences that were not passed on before."""
    for sentence in sentences:
        if sentence and sentence not in noted:
            noted.add(sentence)
            watcher.note(sentence)
