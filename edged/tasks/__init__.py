"""Tasks: the meaning of a model's output. This file is the contract; each task is one file beside it.

``task: {kind: classify}`` in the configuration loads the module ``edged.tasks.classify`` (or, for others'
tasks, the entry point ``classify`` of the group ``edged.tasks``), which exposes

* ``Config``, a subclass of :class:`edged.tasks.TaskConfig` whose field descriptions are its reference page,
* ``inspect(model, sample) -> Spec``, which checks that a model fits and finds what has to go into it. It is
  pure and imports no numpy: ``edged check`` and the process with the network call it. ``model`` is the
  :class:`~edged.models.tflite.file.ModelFile`, or None where the configuration names no model and edged
  brings none; ``sample`` (:class:`~edged.models.spec.SampleSpec`) describes what the source gives. It raises
  ``ModelError`` with one sentence where the model does not fit, and
* ``create(config, spec, labels) -> Task``, which is called in the worker and may import numpy, there and not
  at the module's top. ``labels`` has one label for each class of the spec, or the labels that it brings.

The first line of a task's docstring is its help line.

Contract of a Task, held by one conformance test over every task: ``decode(outputs, sample)`` is pure, without
a clock or I/O, and returns findings with scores 0..1, best first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import Field

from edged.drivers import Registry, Section, wrong
from edged.pipeline.presence import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.events import Finding
    from edged.models.spec import Gives, Spec

DEFAULT = "classify"  # the task of a pipeline that names none


class TaskConfig(Section):
    """The keys that every task has; a task's ``Config`` adds its own.

    Attributes:
        own_labels: the labels of a task that does not take them from the model; main takes no others.
        takes_taught: it works with the scores of a taught model.
    """

    own_labels: ClassVar[tuple[str, ...]] = ()
    takes_taught: ClassVar[bool] = False

    kind: str = Field(description="the task: the name of its module")
    top_k: Annotated[int, Field(ge=1, le=10)] = Field(default=3, description="findings to report, best first")

    @property
    def by_label(self) -> bool:
        """Return whether each label is decided by itself, since several are there at the same time."""
        return False

    @property
    def watched(self) -> tuple[str, ...]:
        """Return the labels that it is to find; empty: all of the model's."""
        return ()

    @property
    def counts(self) -> bool:
        """Return whether it counts the objects of a label."""
        return False

    @property
    def scope(self) -> Scope:
        """Return which findings count for a decision by label."""
        return Scope()

    def unfit(self, spec: Spec) -> str:
        """Return why the task cannot work with a model that it inspected, as a clause; empty where it can."""
        del spec
        return ""

    def check(self, gives: Gives, *, model: bool) -> None:
        """Refuse a pipeline in which the task cannot work.

        Args:
            gives: what the pipeline's source gives.
            model: there is a model: the configuration names one, or edged brings one.

        Raises:
            PydanticCustomError: the error that :func:`edged.drivers.wrong` returns; its steps lead from the
                pipeline's block to the key to blame.
        """
        if not model:
            raise wrong(f"edged brings no model that takes a {gives}: write model.file", "source", "kind")


class Task(Protocol):
    """Makes findings of a model's outputs."""

    def decode(
        self, outputs: Sequence[NDArray[np.generic]], sample: NDArray[np.generic]
    ) -> Sequence[Finding] | None:
        """Return the findings, best first.

        A working model always finds something; a task for which nothing may be there returns one finding of
        ``unknown`` then, with score 0. A finding of an object is a :class:`~edged.events.Detection`, with its
        place in the model's picture. Where it gives no numbers (NaN, infinity), the answer is
        empty: the caller counts an invalid output, and nothing is decided. None means that it is too early to
        judge, such as for a measure that first has to learn what is usual.

        Args:
            outputs: the model's output tensors in the order of the spec, in their own shapes and types; empty
                where there is no model.
            sample: the model's input, in its own type; the source's values where there is no model.
        """


_registry = Registry("edged.tasks", "task", "edged.tasks")


def kinds() -> list[str]:
    """Return the names of all tasks: those of this package and those that others registered."""
    return _registry.kinds()


def load(kind: str) -> Any:
    """Return the module of the task of that kind.

    Raises:
        DriverError: there is no such task; the message lists the available ones.
    """
    return _registry.load(kind)
