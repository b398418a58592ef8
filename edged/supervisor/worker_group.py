"""The pipelines of one worker, and who keeps it running."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edged.supervisor import order_builder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import PipelineSection
    from edged.supervisor.pipeline_status import StatusBoard
    from edged.supervisor.worker_lifecycle import WorkerLifecycle


@dataclass
class Group:
    """The pipelines of one worker."""

    sections: Mapping[str, PipelineSection]
    isolation: str
    on_tpu: bool
    status_board: StatusBoard
    lifecycle: WorkerLifecycle
    files: tuple[object, ...] = field(default=())  # of the models, when the worker was started

    def same(self, sections: Mapping[str, PipelineSection], isolation: str) -> bool:
        """Whether these are its pipelines, configured as they are now."""
        return dict(self.sections) == dict(sections) and self.isolation == isolation

    def renew(self) -> bool:
        """Replace the worker where a file of its models is another one than when it was started."""
        files = order_builder.signature(self.sections)
        if self.files in ((), files):
            return False
        self.files = files
        self.lifecycle.replace("a model file was changed")
        return True

    def wants_its_files(self) -> bool:
        """Whether a model cannot be used, or stands in for one that cannot."""
        stands_in = self.on_tpu and any(status.degraded for status in self.status_board.all())
        return stands_in or any(status.fault == "model" for status in self.status_board.all())
