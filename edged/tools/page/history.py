"""What was found in the last minutes, and what other rules would have decided of it.

The state machine is the worker's own (:mod:`edged.pipeline.decision`), over the findings that it had.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from edged.pipeline.decision import Decision
from edged.pipeline.presence import Presence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.config.root import PipelineSection
    from edged.events import Finding
    from edged.ipc.worker_messages import Outcome
    from edged.pipeline.decision import Change

KEPT_S = 600.0
MOST = 12_000  # results: ten minutes at 20 a second
MOST_POINTS = 600  # in one answer
MOST_CHANGES = 200
BUDGET_S = 0.3  # for one replay
LEAST = 200  # results that are replayed in any case
_SHORTEST_S = 1e-6


@dataclass(frozen=True, slots=True)
class Result:
    """What was found in one picture.

    Attributes:
        number: counts the results.
        at: wall time, seconds since 1970, never less than that of the result before.
        top: the findings.
        captured_at: wall time of the picture, seconds since 1970.
    """

    number: int
    at: float
    top: tuple[Finding, ...]
    captured_at: float


class History:
    """The newest results of one pipeline."""

    def __init__(self) -> None:
        self._results: deque[Result] = deque(maxlen=MOST)
        self._number = 0
        self._each_s = _SHORTEST_S  # what a result took in the last replay

    def add(self, outcome: Outcome) -> None:
        """Keep a result, and forget those that are too old."""
        at = max(outcome.decided_at, self._results[-1].at if self._results else 0.0)
        self._number += 1
        self._results.append(Result(self._number, at, outcome.found or outcome.top, outcome.captured_at))
        while at - self._results[0].at > KEPT_S:
            self._results.popleft()

    def since(self, number: int) -> Sequence[Result]:
        """Return the results after this one; of many, evenly chosen ones and the last."""
        found = [result for result in self._results if result.number > number]
        step = -(-len(found) // MOST_POINTS) or 1
        return found[::-1][::step][::-1]

    def replay(self, *sections: PipelineSection) -> list[dict[str, Any]]:
        """Return what pipelines with these configurations would have decided, all of the same results.

        It takes a fraction of a second on any board: where each result costs much, the oldest are left out.

        Returns:
            For each: ``changes``, the latest ones, each with ``at`` and what :func:`shown` tells; ``count``:
            how many there were; ``results``: how many were looked at.
        """
        began = time.perf_counter()
        most = max(LEAST, int(BUDGET_S / self._each_s))
        results = list(self._results)[-most:]
        found = [_decided(section, results) for section in sections]
        if results:
            self._each_s = max((time.perf_counter() - began) / len(results), _SHORTEST_S)
        return found


def _decided(section: PipelineSection, results: Sequence[Result]) -> dict[str, Any]:
    rules = replace(section.rules(), heartbeat_s=0.0)
    by_label = section.task.by_label
    decision = Presence(rules, section.task.scope) if by_label else Decision(rules)
    changes: deque[dict[str, Any]] = deque(maxlen=MOST_CHANGES)
    count = 0
    for result in results:
        for change in decision.update(result.top, result.at):
            count += 1
            changes.append({"at": result.at} | shown(change))
    return {"changes": list(changes), "count": count, "results": len(results)}


def shown(change: Change | Outcome) -> dict[str, Any]:
    """Return a change of the decision as the page has it."""
    found: dict[str, Any] = {
        "type": change.type,
        "label": change.label,
        "score": change.score,
        "previous": change.previous,
    }
    if change.count is not None:
        found |= {"count": change.count, "zone": change.zone}
    return found
