"""Builds a worker's order and its deadlines from the configuration of its pipelines."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edged.config.secrets import read_secret, secret_files
from edged.errors import ConfigError
from edged.events import UNKNOWN
from edged.ipc.heartbeat import Stage
from edged.ipc.worker_order import Order, PipelineOrder
from edged.sources.progress import MOST

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from edged.config.root import PipelineSection
    from edged.events import Present
    from edged.sources import InputConfig
    from edged.sources.progress import Progress


log = logging.getLogger(__name__)

_ACCELERATOR_SHARE = 0.75  # the part of the deadline for opening that a model on an accelerator gets


def order(
    sections: Mapping[str, PipelineSection],
    labels: Mapping[str, str],
    models: Sequence[Path] = (),
    *,
    accelerated: bool,
    isolation: str,
    threads: int,
    results: bool = False,
    probe: bool = False,
    armed: Collection[str] = (),
    known: Collection[str] = (),
    fatal: Mapping[str, Sequence[int]] = MappingProxyType({}),
    places: Mapping[str, Progress] = MappingProxyType({}),
    present: Mapping[str, Sequence[Present]] = MappingProxyType({}),
    reset: bool = False,
    pictures: bool = False,
) -> Order:
    """Return the order for a worker.

    Args:
        sections: the configuration of its pipelines, by name; at least one.
        labels: the labels that they decided before.
        models: the files of models and labels whose descriptors are sent with the order.
        accelerated: whether to run on the accelerator; the CPU is a fallback where the policy is ``prefer``.
        isolation: required | optional.
        threads: threads of the CPU kernels, where the configuration sets no number.
        results: whether to report every inference, also where the configuration does not ask for it.
        probe: whether only to try the accelerator, and end.
        armed: the pipelines that are armed.
        known: the pipelines whose labels main knows; others report theirs.
        reset: whether to reset the accelerator first.
        fatal: marks of the samples that they leave out, by pipeline.
        places: how far their sources have come, by pipeline.
        pictures: whether the worker gets a descriptor at which connections for its pictures arrive.
        present: what is there by those that decide by label, by pipeline.
    """
    pipelines = tuple(
        PipelineOrder(
            name=name,
            section=section.model_dump(mode="json"),
            results=results or section.publish.result,
            resume=labels.get(name, UNKNOWN),
            present=tuple((each.label, each.zone, each.count) for each in present.get(name, ())),
            accelerator=section.accelerator.kind if accelerated else "cpu",
            degraded=not accelerated and section.accelerator.policy != "cpu",
            threads=threads,
            armed=name in armed,
            model=_index(section.model_file(accelerated=accelerated), models),
            labels=_index(section.labels_file, models),
            twin=_index(_twin(section, accelerated=accelerated), models),
            **_closer(section, models),
            secrets=_secrets(section.source),
            tell_labels=name not in known and not probe,
            reset=reset and accelerated,
            fatal=tuple(fatal.get(name, ())),
            **_place(places.get(name), MOST // len(sections)),
        )
        for name, section in sections.items()
    )
    looks = any(section.looks_at for section in sections.values()) and not probe
    readings_page = len(models) if looks else -1  # its descriptor follows those of the models
    shown = len(models) + looks if pictures else -1
    return Order(
        pipelines[0].name, isolation, pipelines, probe=probe, readings_page=readings_page, pictures=shown
    )


def _closer(section: PipelineSection, models: Sequence[Path]) -> dict[str, Any]:
    """Return which descriptors are those of the model that looks closer."""
    closer = section.closer
    if closer is None:
        return {}
    return {
        "then_model": _index(closer.model_file(), models),
        "then_labels": _index(closer.labels_file, models),
    }


def _place(progress: Progress | None, most: int) -> dict[str, Any]:
    """Return how far a source has come, with its latest marks: an order is one datagram, below 200 kB."""
    if progress is None:
        return {}
    older, marks = progress.marks[:-most], progress.marks[-most:]
    floor_s = max([progress.floor_s, *(changed_s for _, changed_s in older)])
    return {"marks": marks, "floor_s": floor_s, "number": progress.number}


def _secrets(source: InputConfig) -> dict[str, str]:
    """Read the files of a source that hold secrets; one that cannot be read is logged and left out."""
    found = {}
    for key, path in secret_files(source).items():
        try:
            found[key] = read_secret(path).reveal()
        except ConfigError as error:
            log.error("%s", error.problems[0])  # noqa: TRY400 - a sentence for people
    return found


def _index(file: Path | None, files: Sequence[Path]) -> int:
    return files.index(file) if file is not None and file in files else -1


def may(section: PipelineSection, verb: str) -> bool:
    """Return whether a pipeline has the trigger for ``infer``, or the gate for ``arm`` and ``disarm``.

    ``features`` are for one that learns over MQTT.
    """
    if verb == "features":
        return section.teach is not None
    if verb == "infer":
        return section.trigger is not None and section.trigger.command
    return section.gate is not None and section.gate.armed


def files_of(section: PipelineSection, *, accelerated: bool) -> set[Path]:
    """Return the files that a pipeline's worker gets: its model, the CPU's fallback model, and its labels."""
    found = {
        section.model_file(accelerated=accelerated),
        section.labels_file,
        _twin(section, accelerated=accelerated),
    }
    if section.closer is not None:
        found |= files_of(section.closer, accelerated=False)
    return {file for file in found if file is not None}


def all_files_of(section: PipelineSection) -> set[Path]:
    """Return the files that a pipeline's workers may get, on the accelerator or not."""
    return files_of(section, accelerated=False) | files_of(
        section, accelerated=section.accelerator.policy != "cpu"
    )


def _twin(section: PipelineSection, *, accelerated: bool) -> Path | None:
    """Return the model that runs on the CPU if the accelerator's cannot be used."""
    return section.model_file() if accelerated and section.accelerator.policy == "prefer" else None


def deadlines(
    sections: Mapping[str, PipelineSection], *, accelerated: bool = False, patient: bool = False
) -> dict[Stage, float]:
    """Return the longest deadlines of the pipelines that share a worker, by stage, in s.

    Where a pipeline may run on the CPU instead, the accelerator and its models have less time to open, so
    that the CPU takes over within 10 s.

    Args:
        sections: the configuration of the pipelines.
        accelerated: whether they run on the accelerator.
        patient: whether to give the accelerator its full time to open: in a probe, while the CPU serves, or
            where it is known to be slow.
    """
    limits = [section.deadlines for section in sections.values()]
    open_s = max(limit.open_s for limit in limits)
    load_s = _ACCELERATOR_SHARE * open_s if accelerated else open_s
    policies = {section.accelerator.policy for section in sections.values()} - {"cpu"}
    patient = patient or policies == {"require"}
    delegate_s = max(limit.accelerator_s for limit in limits) if patient else load_s
    return {
        Stage.STARTUP: open_s,
        Stage.OPEN: max(open_s, *map(_slow_opening_s, sections.values())),
        Stage.LOAD: load_s,
        Stage.DELEGATE: delegate_s,
        Stage.CAPTURE: max(limit.capture_s for limit in limits),
        Stage.INVOKE: max(limit.invoke_s for limit in limits),
    }


def _slow_opening_s(section: PipelineSection) -> float:
    """Return the time that the source's driver asks for, unless the configuration sets one."""
    return 0.0 if "open_s" in section.deadlines.model_fields_set else section.source.opens_within_s


def signature(sections: Mapping[str, PipelineSection]) -> tuple[object, ...]:
    """Return a value that changes when a file of these models is edited or replaced."""
    named = [
        (section.model_file(), section.labels_file, section.model.edgetpu_file)
        for each in sections.values()
        for section in (each, each.closer)
        if section is not None
    ]
    return tuple(_about(file) for files in named for file in files)


def _about(file: Path | None) -> tuple[int, ...]:
    try:
        found = file.stat() if file is not None else None
    except OSError:
        return (-1,)
    return () if found is None else (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
