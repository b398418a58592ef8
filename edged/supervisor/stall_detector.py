"""Finds a worker that stalls, from its heartbeat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edged.ipc.heartbeat import Reading, Stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.ipc.heartbeat import Beat

IDLE_S = 5.0  # a thread that waits updates its beat every second
GRACE_S = 1.0  # for workers to update their beats after this process was suspended
_AHEAD_S = 1.0  # a time further in the future makes no sense

_DOING = {
    Stage.IDLE: "gave no sign of life",
    Stage.STARTUP: "hung before it opened anything",
    Stage.OPEN: "hung opening the source",
    Stage.CAPTURE: "hung reading a frame",
    Stage.LOAD: "hung opening the model",
    Stage.DELEGATE: "hung opening the accelerator",
    Stage.INVOKE: "hung running the model",
}


@dataclass(frozen=True)
class Overdue:
    """A stage that lasts too long.

    Attributes:
        stage: the stage.
        sentence: the predicate of a sentence about the worker, such as ``hung opening the model for 5.1 s``.
    """

    stage: Stage
    sentence: str


class StallDetector:
    """Looks at a worker's beats; a beat is overdue when two looks in a row see the same one.

    Two looks, because one may fall between the two stores with which a worker changes its stage.

    Args:
        beats: the worker's beats.
        deadlines: the longest time for each stage, in s; a stage that is missing has that of IDLE.
    """

    def __init__(self, beats: Sequence[Beat], deadlines: Mapping[Stage, float]) -> None:
        self._patient_until = 0.0
        self._beats = beats
        self._deadlines = deadlines
        self._suspects: dict[int, Reading] = {}

    def look(self, now: float) -> Overdue | None:
        """Return what is overdue at this monotonic time; None where all is well."""
        if now < self._patient_until:
            return None
        for number, beat in enumerate(self._beats):
            reading = beat.read()
            if reading.since > now + _AHEAD_S and reading.stage is not Stage.GONE:
                reading = Reading(Stage.IDLE, 0.0)
            limit_s = self._deadlines.get(reading.stage, IDLE_S)
            if reading.stage is Stage.GONE or now - reading.since <= limit_s:
                self._suspects.pop(number, None)
            elif self._suspects.get(number) == reading:
                return _overdue(reading, now)
            else:
                self._suspects[number] = reading
        return None

    def forgive(self, now: float) -> None:
        """Forget suspicions, and raise none for a moment: this process itself was suspended."""
        self._suspects.clear()
        self._patient_until = now + GRACE_S


def _overdue(reading: Reading, now: float) -> Overdue:
    if reading.since <= 0:
        return Overdue(reading.stage, "wrote nonsense into its heartbeat")
    return Overdue(reading.stage, f"{_DOING[reading.stage]} for {now - reading.since:.1f} s")
