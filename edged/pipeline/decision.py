"""Turns findings into decisions: a pure state machine without a clock or I/O.

::

              N of M votes for X                  N of M votes for Y
    unknown ────────────────────▶ X (start) ────────────────────────▶ Y (change)
       ▲                          │                                   │
       └──────────────────────────┴── no longer N of M (end) ──────────┘

Each update is one vote. It goes to the label with the best score among those that reach their threshold. The
decided label needs only its lower exit threshold, so a score that wavers between the two changes nothing.
``unknown`` means that nothing is decided; a model's class of that name is ignored.

A decided label ends when fewer than ``votes`` of the last ``window`` findings are for it **and** at least
``votes`` are against it: one miss does not end "3 of 3", and "2 of 10" holds as long as 2 of 10 see it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from edged.events import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edged.events import Box, Finding

_NO_LABELS: Mapping[str, tuple[float, float]] = MappingProxyType({})


@dataclass(frozen=True)
class Rules:
    """The conditions under which a finding changes the decision.

    Attributes:
        threshold: the score, 0..1, from which a label may be decided.
        exit_threshold: the score below which the decided label is no longer seen.
        votes, window: a decision needs ``votes`` of the last ``window`` findings.
        min_dwell_s: the minimum time that a decided label is kept. It does not apply to ``unknown``.
        cooldown_s: the minimum time between a label's end and its next start.
        labels: (threshold, exit_threshold) of labels that have their own.
        ignore: labels that are never decided.
        heartbeat_s: repeat an unchanged decision after this time; 0: never.
    """

    threshold: float = 0.5
    exit_threshold: float = 0.35
    votes: int = 1
    window: int = 1
    min_dwell_s: float = 0.0
    cooldown_s: float = 0.0
    labels: Mapping[str, tuple[float, float]] = field(default_factory=lambda: _NO_LABELS)
    ignore: frozenset[str] = frozenset()
    heartbeat_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the decision, or its repetition.

    Attributes:
        type: start | change | end | heartbeat.
        label: the decided label; ``unknown`` after an end.
        score: the score in the last finding of that label, 0..1; 0 for ``unknown``.
        previous: the label decided before.
        count: how many of the label there are, where each label is decided by itself; else None.
        zone: the zone that it is about; empty: the whole picture.
        boxes: where the label's objects are, best first.
    """

    type: str
    label: str
    score: float
    previous: str
    count: int | None = None
    zone: str = ""
    boxes: tuple[Box, ...] = ()


class Decision:
    """A pipeline's decision, updated with each frame's findings.

    Attributes:
        label: the decided label, or ``unknown``.
        score: the score in the last finding of that label, 0..1; 0 for ``unknown``.

    Args:
        rules: the conditions for a change.
        resume: the label that was decided before a restart. It stays decided without a new start; the first
            update that does not end it returns a heartbeat.
    """

    def __init__(self, rules: Rules, resume: str = UNKNOWN) -> None:
        self.label = resume
        self.score = 0.0
        self._rules = rules
        self._default = (rules.threshold, min(rules.exit_threshold, rules.threshold))
        self._ignored = rules.ignore | {UNKNOWN}
        self._previous = UNKNOWN
        # A vote is a label or UNKNOWN; None is a vote that does not count any more.
        self._votes: deque[str | None] = deque(maxlen=rules.window)
        self._counts: dict[str, int] = {}
        self._since_s = 0.0
        self._ended_s: dict[str, float] = {}
        self._reported_s: float | None = None  # time of the last change or heartbeat
        self._resumed = resume not in self._ignored
        if self._resumed:
            self._votes.extend([resume] * rules.window)
            self._counts[resume] = rules.window
        else:
            self.label = UNKNOWN

    def update(self, findings: Iterable[Finding], now_s: float) -> tuple[Change, ...]:
        """Take the findings of one frame, in any order, and return the changes.

        Args:
            findings: the task's findings; without any, the vote is for ``unknown``.
            now_s: monotonic time in seconds; never less than before.
        """
        vote = self._vote(findings)
        self._count(vote)
        target = self._target(vote, now_s)
        if target != self.label:
            return (self._switch(target, now_s),)
        return self._heartbeat(now_s)

    def wait(self, now_s: float) -> tuple[Change, ...]:
        """Let time pass without a frame, because nothing moves: the decision stays, and so do its heartbeats.

        Args:
            now_s: monotonic time in seconds; never less than before.
        """
        return () if self._resumed or self._reported_s is None else self._heartbeat(now_s)

    def close(self, now_s: float) -> tuple[Change, ...]:
        """End a decided label at once, regardless of its dwell, because the pipeline is paused.

        Args:
            now_s: monotonic time in seconds; never less than before.
        """
        self._forget(UNKNOWN)
        return (self._switch(UNKNOWN, now_s),) if self.label != UNKNOWN else ()

    def result(self, findings: Sequence[Finding]) -> Change:
        """Return what one frame alone shows: the best finding."""
        best = findings[0]
        return Change("result", best.label, best.score, self.label)

    def _vote(self, findings: Iterable[Finding]) -> str:
        """Return the vote of one frame, and keep its scores."""
        label, best, vote, vote_score = self.label, (-1.0, False, ""), UNKNOWN, 0.0
        for finding in findings:
            name, score = finding.label, finding.score
            if name in self._ignored:
                continue
            enter, leave = self._rules.labels.get(name, self._default)
            decided = name == label
            if decided:
                self.score = score
            # Between equal scores the decided label wins, then the name, so that the order does not matter.
            if score >= (min(leave, enter) if decided else enter) and (score, decided, name) > best:
                best, vote, vote_score = (score, decided, name), name, score
        self._vote_score = vote_score
        return vote

    def _count(self, vote: str) -> None:
        votes, counts = self._votes, self._counts
        if len(votes) == votes.maxlen:
            oldest = votes[0]
            if oldest is not None:
                counts[oldest] -= 1
                if not counts[oldest]:
                    del counts[oldest]
        votes.append(vote)
        counts[vote] = counts.get(vote, 0) + 1

    def _target(self, vote: str, now_s: float) -> str:
        """Return the label that the votes decide now."""
        rules, label, counts = self._rules, self.label, self._counts
        if vote == label or (label != UNKNOWN and now_s - self._since_s < rules.min_dwell_s):
            return label
        held, wanted = counts.get(label, 0), counts.get(vote, 0)
        lost = label != UNKNOWN and held < rules.votes
        ready = vote != UNKNOWN and wanted >= rules.votes and not self._cooling(vote, now_s)
        if ready and (label == UNKNOWN or lost or wanted > held):
            return vote
        if lost and sum(counts.values()) - held >= rules.votes:
            return UNKNOWN
        return label

    def _cooling(self, label: str, now_s: float) -> bool:
        ended_s = self._ended_s.get(label)
        if ended_s is None:
            return False
        if now_s - ended_s < self._rules.cooldown_s:
            return True
        del self._ended_s[label]
        return False

    def _switch(self, target: str, now_s: float) -> Change:
        self._previous, self.label = self.label, target
        self._resumed = False
        self._since_s = self._reported_s = now_s
        if target == UNKNOWN:
            kind, self.score = "end", 0.0
            if self._rules.cooldown_s > 0:
                self._ended_s[self._previous] = now_s
        else:
            kind, self.score = "start" if self._previous == UNKNOWN else "change", self._vote_score
        self._forget(target)
        return Change(kind, target, self.score, self._previous)

    def _forget(self, target: str) -> None:
        """Keep only the votes for the decided label; the others belong to the previous decision."""
        kept = target if target != UNKNOWN else None
        votes = [vote if vote == kept else None for vote in self._votes]
        self._votes = deque(votes, maxlen=self._votes.maxlen)
        self._counts = {kept: votes.count(kept)} if kept is not None else {}

    def _heartbeat(self, now_s: float) -> tuple[Change, ...]:
        if self._resumed:
            self._reported_s, self._resumed = now_s, False
            return (Change("heartbeat", self.label, self.score, self._previous),)
        if self._reported_s is None:
            self._reported_s = now_s
        elif 0 < self._rules.heartbeat_s <= now_s - self._reported_s:
            self._reported_s = now_s
            return (Change("heartbeat", self.label, self.score, self._previous),)
        return ()
