"""Remembers which samples ended the workers that decoded them, so that the next worker leaves them out.

A sample is known by its mark alone (:mod:`edged.sources.decoding`), which a worker wrote into its heartbeat
and which only its successor understands. Main draws no conclusion from a mark and passes none on to others: a
worker in an attacker's hands can make the next one leave out photographs, and could as well lie about them.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from edged.ipc.heartbeat import Stage

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from edged.ipc.heartbeat import Heartbeat
    from edged.system.ending import Ending

MOST = 64  # samples of one pipeline; the oldest is forgotten for another one
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)
_QUIET = frozenset({Stage.IDLE, Stage.GONE})


class FatalSamples:
    """The marks of samples that ended a worker, by pipeline; oldest first."""

    def __init__(self) -> None:
        self._marks: dict[str, list[int]] = {}
        self._suspects: dict[str, int] = {}

    def of(self, pipeline: str) -> Sequence[int]:
        """Return the marks of a pipeline."""
        return tuple(self._marks.get(pipeline, ()))

    def blame(self, decoded: Mapping[str, int], *, certain: bool) -> bool:
        """Note what was being decoded when a worker ended; return whether a sample is to blame.

        Args:
            decoded: the marks, by pipeline.
            certain: nothing else can have ended it. Otherwise the sample is to blame the second time in a
                row.
        """
        certain = certain and len(set(decoded.values())) == 1  # pipelines that share a camera have the same
        found = False
        for pipeline, mark in decoded.items():
            if mark in self._marks.get(pipeline, ()):
                continue  # its worker read it all the same
            if certain or self._suspects.get(pipeline) == mark:
                self._marks[pipeline] = [*self._marks.get(pipeline, ()), mark][-MOST:]
                found = True
            self._suspects[pipeline] = mark
        return found

    def may_hurry(self, pipelines: Collection[str]) -> bool:
        """Return whether there is room to note more of these: a bound for restarts without a pause."""
        return all(len(self._marks.get(name, ())) < MOST for name in pipelines)

    def forget(self, pipelines: Collection[str]) -> None:
        """Forget pipelines that are configured anew."""
        for name in pipelines:
            self._marks.pop(name, None)
            self._suspects.pop(name, None)


def decoded_by(heartbeat: Heartbeat, pipelines: Sequence[str]) -> dict[str, int]:
    """Return the marks of what a worker decodes, by pipeline, in the order of its slots."""
    beats = {name: heartbeat.capture(slot) for slot, name in enumerate(pipelines)}
    marks = {name: beat.mark for name, beat in beats.items() if beat.read().stage is Stage.CAPTURE}
    return {name: mark for name, mark in marks.items() if mark}


def is_certain(how: Ending, model: Stage) -> bool:
    """Return whether a worker that ended like this, of itself, ended by what its capture threads did.

    Args:
        how: how it ended.
        model: the stage of the thread that runs the models: a model may crash while the next sample is
            decoded. What ends a process from outside may be the kernel, short of memory.
    """
    return how.signal not in FROM_OUTSIDE and model in _QUIET
