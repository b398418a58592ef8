"""``task:`` is checked by the task that its ``kind`` names; without a kind, by the one that is usual."""

from __future__ import annotations

from typing import Annotated

from edged import tasks
from edged.config.driver_sections import ByKind
from edged.tasks import TaskConfig

TASKS = ByKind("task", TaskConfig, tasks.kinds, tasks.load, default=tasks.DEFAULT)
AnyTask = Annotated[TaskConfig, TASKS]


def default_task() -> TaskConfig:
    """Return the task of a pipeline that names none."""
    return TASKS.read({})
