"""The pipelines that share a worker: which ones do, and what becomes of them while it runs."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.supervisor import order_builder
from edged.supervisor.accelerators import key_of
from edged.supervisor.model_cache import PATIENCE_S
from edged.system.patience import within

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from edged.config.root import PipelineSection
    from edged.supervisor.pipeline_status import StatusBoard
    from edged.supervisor.worker_lifecycle import WorkerLifecycle

_CAMERA = "camera "


def groups(
    pipelines: Mapping[str, PipelineSection], usable: Callable[[str], bool]
) -> dict[str, dict[str, PipelineSection]]:
    """Group pipelines: one worker for each, or for all that share a camera or an accelerator.

    Args:
        pipelines: those that are switched on, by name.
        usable: returns whether an accelerator may be used now.

    Returns:
        The pipelines of each worker, by the key of their accelerator, else of their camera, else by the name
        of the only one.
    """
    found: list[tuple[set[str], set[str]]] = []  # what they share, and their names
    for name, section in pipelines.items():
        shared, names = set(_shared(section, usable)) or {name}, {name}
        for group in [group for group in found if group[0] & shared]:
            found.remove(group)
            shared, names = shared | group[0], names | group[1]
        found.append((shared, names))
    return {
        min(shared, key=lambda key: key.startswith(_CAMERA)): {
            name: section for name, section in pipelines.items() if name in names
        }
        for shared, names in found
    }


def _shared(section: PipelineSection, usable: Callable[[str], bool]) -> Iterator[str]:
    """Yield the keys of what a pipeline shares; no pipeline has such a name."""
    if section.camera is not None:
        yield _CAMERA + section.camera
    if section.accelerator.policy != "cpu":
        key = key_of(section.accelerator)
        if section.accelerator.policy == "require" or usable(key):
            yield key


@dataclass
class WorkerGroup:
    """The pipelines that share a worker, with that worker's lifecycle.

    Attributes:
        sections: the configuration of its pipelines, by name, with those that were switched off since.
        isolation: required | optional.
        accelerated: whether it runs on an accelerator.
        status_board: the statuses of its pipelines that are switched on.
        lifecycle: keeps its worker running.
        files: the state of its model files when the worker was started; empty before.
        looking: a thread looks at these files now.
    """

    sections: Mapping[str, PipelineSection]
    isolation: str
    accelerated: bool
    status_board: StatusBoard
    lifecycle: WorkerLifecycle
    files: tuple[object, ...] = ()
    looking: bool = False

    @property
    def running(self) -> list[str]:
        """The names of its pipelines that are switched on."""
        return [status.name for status in self.status_board.all()]

    def can_run(
        self, wanted: Mapping[str, PipelineSection], isolation: str, off: Mapping[str, PipelineSection]
    ) -> bool:
        """Return whether its worker can go on with these pipelines.

        Args:
            wanted: the pipelines that are to run in it.
            isolation: required | optional.
            off: the pipelines that are switched off; those of the worker pause.
        """
        return (
            isolation == self.isolation
            and all(wanted.get(name, off.get(name)) == section for name, section in self.sections.items())
            and wanted.keys() <= self.sections.keys()
        )

    def switch(self, on: Collection[str]) -> None:
        """Let these of its pipelines run, and the others pause."""
        if set(on) == set(self.running):
            return
        for name in self.sections:
            if name in on:
                self.status_board.add(name)
            else:
                self.status_board.remove(name)
        self.lifecycle.switch()

    def renew(self) -> bool:
        """Replace the worker where a file of its models has changed since it was started."""
        files = order_builder.signature(self.sections)
        if self.files in ((), files):
            return False
        self.files = files
        self.lifecycle.replace("a model file was changed")
        return True

    @property
    def is_taught(self) -> bool:
        """Return whether it runs a model that may be taught more at any time."""
        return any(section.model.taught is not None for section in self.sections.values())

    async def renew_when_taught(self) -> None:
        """Replace the worker where its model was taught more; a disk that hangs keeps nobody waiting."""
        if self.looking:  # still, on a disk that hangs: no thread more for each look
            return
        self.looking = True
        with contextlib.suppress(OSError):  # TimeoutError is one
            files = await within(PATIENCE_S, self._look)
            if self.files not in {(), files}:
                self.files = files
                self.lifecycle.replace("its model was taught")

    def _look(self) -> tuple[object, ...]:
        try:
            return order_builder.signature(self.sections)
        finally:
            self.looking = False

    def waits_for_files(self) -> bool:
        """Return whether a model cannot be used, or replaces one that cannot."""
        degraded = self.accelerated and any(status.degraded for status in self.status_board.all())
        return degraded or any(status.fault == "model" for status in self.status_board.all())
