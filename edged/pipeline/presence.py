"""Turns findings into decisions by label: what is there, and how many. Pure, without a clock or I/O.

Where :mod:`edged.pipeline.decision` knows one label at a time, each label here has a state of its own, and
with zones each label in each zone.

::

              N of M see one                N of M see another count
    nothing ──────────────────▶ n of X (start) ───────────────▶ m of X (change)
       ▲                            │                                │
       └────────────────────────────┴── no longer N of M (end) ──────┘

An object counts as new from the threshold, and as still there down to the exit threshold: a count rises only
with objects above the first, and falls only where too few are left above the second.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from edged.events import MOST_BOXES, MOST_PRESENT, UNKNOWN, Box, Detection
from edged.pipeline.decision import Change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from edged.events import Finding
    from edged.pipeline.decision import Rules

Point = tuple[float, float]
Polygon = tuple[Point, ...]
Key = tuple[str, str]  # a label, and the zone it is in

_EVERYWHERE: Mapping[str, Polygon] = MappingProxyType({})


@dataclass(frozen=True)
class Scope:
    """Which objects count.

    Attributes:
        min_area: the least part of the picture that an object takes, 0..1.
        zones: polygons by name, in parts of the picture's width and height; empty: the whole picture.
    """

    min_area: float = 0.0
    zones: Mapping[str, Polygon] = field(default_factory=lambda: _EVERYWHERE)

    def places(self, finding: Finding) -> tuple[str, ...]:
        """Return the zones that a finding is in; one without a name where there are none, nothing: none.

        An object is in the zones in which it stands: where the middle of its box's lower edge is.
        """
        if not isinstance(finding, Detection):
            return ("",)
        x0, y0, x1, y1 = finding.box
        if (x1 - x0) * (y1 - y0) < self.min_area:
            return ()
        if not self.zones:
            return ("",)
        stands = (x0 + x1) / 2, y1
        return tuple(name for name, polygon in self.zones.items() if contains(polygon, stands))


def contains(polygon: Polygon, point: Point) -> bool:
    """Return whether a point is in a polygon, or on its edge."""
    x, y = point
    inside = False
    for (x0, y0), (x1, y1) in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
        cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        if cross == 0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1):
            return True
        if (y0 > y) != (y1 > y) and x < x0 + (x1 - x0) * (y - y0) / (y1 - y0):
            inside = not inside
    return inside


class _Track:
    """What was seen of one label in one zone.

    Attributes:
        count: how many are decided to be there; 0: it is not decided.
        since_s: when that was decided.
        told_s: when it was last reported; None: not since a restart.
        score: the best score in the last picture that had it.
    """

    def __init__(self, window: int, count: int = 0) -> None:
        self.count = count
        self.since_s = float("-inf")
        self.told_s: float | None = None
        self.score = 0.0
        self._above = deque([count] * (window if count else 0), maxlen=window)  # the threshold, by picture
        self._left = self._above.copy()  # the same for the exit threshold

    def take(self, above: int, left: int, score: float) -> None:
        """Take how many objects of one picture reach each threshold."""
        self._above.append(above)
        self._left.append(left)
        if left:
            self.score = score

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is decided, and nothing was seen of late."""
        return not self.count and not any(self._above)

    def target(self, votes: int) -> int:
        """Return the count that the votes decide now."""
        rises = _voted(self._above, votes)
        if rises > self.count:
            return rises
        against = sum(1 for left in self._left if left < self.count)
        held = _voted(self._left, votes)
        return held if held < self.count and against >= votes else self.count


def _voted(counts: Iterable[int], votes: int) -> int:
    """Return the largest number that at least ``votes`` of the counts reach."""
    ordered = sorted(counts, reverse=True)
    return ordered[votes - 1] if len(ordered) >= votes else 0


class Presence:
    """A pipeline's decision by label, updated with each picture's findings.

    Attributes:
        label: the label that has been there for the longest; ``unknown`` while there is none.

    Args:
        rules: the conditions for a change.
        scope: which objects count.
        resume: (label, zone, count) of what was decided before a restart, the oldest first. It stays decided
            without a new start; the first update that does not end it returns a heartbeat.
    """

    def __init__(
        self, rules: Rules, scope: Scope | None = None, resume: Iterable[tuple[str, str, int]] = ()
    ) -> None:
        self._rules = rules
        self._scope = scope or Scope()
        self._default = (rules.threshold, min(rules.exit_threshold, rules.threshold))
        self._ignored = rules.ignore | {UNKNOWN}
        self._tracks: dict[Key, _Track] = {
            (label, zone): _Track(rules.window, count)
            for label, zone, count in resume
            if label not in self._ignored
        }
        self._ended_s: dict[Key, float] = {}
        self._idle_told_s: float | None = None  # of the last heartbeat that nothing is there

    @property
    def label(self) -> str:
        """Return the label that has been there for the longest, or ``unknown``."""
        return next((label for (label, _), track in self._tracks.items() if track.count), UNKNOWN)

    def update(self, findings: Iterable[Finding], now_s: float) -> tuple[Change, ...]:
        """Take the findings of one picture, in any order, and return the changes: what is new comes first.

        Args:
            findings: the task's findings.
            now_s: monotonic time in seconds; never less than before.
        """
        seen = self._sorted(findings)
        changes: list[Change] = []
        for key in list(dict.fromkeys((*self._tracks, *seen))):
            enter, leave = self._thresholds(key[0])
            left = [finding for finding in seen.get(key, ()) if finding.score >= leave]
            above = sum(finding.score >= enter for finding in left)
            track = self._tracks.get(key)
            if track is None:
                if not above:
                    continue
                track = self._tracks[key] = _Track(self._rules.window)
            track.take(above, len(left), left[0].score if left else 0.0)
            changes += self._decide(key, track, left, now_s)
            if track.is_idle:
                del self._tracks[key]
        return tuple(sorted(changes, key=lambda change: _ORDER[change.type])) + self._heartbeat(now_s)

    def wait(self, now_s: float) -> tuple[Change, ...]:
        """Let time pass without a picture, because nothing moves: what is there stays, with its heartbeats.

        Args:
            now_s: monotonic time in seconds; never less than before.
        """
        return () if self._idle_told_s is None else self._heartbeat(now_s)

    def close(self, now_s: float) -> tuple[Change, ...]:
        """End everything at once, because the pipeline is paused."""
        changes = [
            self._switch(key, track, 0, (), now_s) for key, track in self._tracks.items() if track.count
        ]
        self._tracks.clear()
        return tuple(changes)

    def result(self, findings: Sequence[Finding]) -> Change:
        """Return what one picture alone shows: the best finding, and how many reach its threshold."""
        best = findings[0]
        enter, _ = self._thresholds(best.label)
        same = [finding for finding in findings if finding.label == best.label and finding.score >= enter]
        count = 0 if best.label == UNKNOWN else len(same)
        return Change("result", best.label, best.score, self.label, count, boxes=_boxes(same))

    def _thresholds(self, label: str) -> tuple[float, float]:
        enter, leave = self._rules.labels.get(label, self._default)
        return enter, min(leave, enter)

    def _sorted(self, findings: Iterable[Finding]) -> dict[Key, list[Finding]]:
        """Return what counts, by label and zone, best first."""
        seen: dict[Key, list[Finding]] = {}
        for finding in findings:
            if finding.label not in self._ignored:
                for zone in self._scope.places(finding):
                    seen.setdefault((finding.label, zone), []).append(finding)
        for found in seen.values():
            found.sort(key=lambda finding: -finding.score)
        return seen

    def _decide(self, key: Key, track: _Track, left: Sequence[Finding], now_s: float) -> list[Change]:
        count = track.target(self._rules.votes)
        if count == track.count:
            return []
        if count < track.count and now_s - track.since_s < self._rules.min_dwell_s:
            return []
        if not track.count and (self._is_full() or self._cooling(key, now_s)):
            return []
        return [self._switch(key, track, count, left, now_s)]

    def _is_full(self) -> bool:
        return sum(1 for track in self._tracks.values() if track.count) >= MOST_PRESENT

    def _cooling(self, key: Key, now_s: float) -> bool:
        ended_s = self._ended_s.get(key)
        if ended_s is None:
            return False
        if now_s - ended_s < self._rules.cooldown_s:
            return True
        del self._ended_s[key]
        return False

    def _switch(self, key: Key, track: _Track, count: int, left: Sequence[Finding], now_s: float) -> Change:
        label, zone = key
        before, track.count = track.count, count
        track.since_s = track.told_s = now_s
        if not count:
            self._idle_told_s = now_s
            if self._rules.cooldown_s > 0:
                self._ended_s[key] = now_s
            self._tracks[key] = _Track(self._rules.window)  # later votes are for a new start
            return Change("end", UNKNOWN, 0.0, label, 0, zone)
        if not before:
            self._tracks[key] = self._tracks.pop(key)  # the oldest first
            return Change("start", label, track.score, UNKNOWN, count, zone, _boxes(left))
        return Change("change", label, track.score, label, count, zone, _boxes(left))

    def _heartbeat(self, now_s: float) -> tuple[Change, ...]:
        """Return what is due to be repeated: each label that is there, or that nothing is."""
        every_s = self._rules.heartbeat_s
        changes = []
        there = [(key, track) for key, track in self._tracks.items() if track.count]
        for (label, zone), track in there:
            if track.told_s is None or 0 < every_s <= now_s - track.told_s:
                track.told_s = now_s
                changes.append(Change("heartbeat", label, track.score, label, track.count, zone))
        if there or self._idle_told_s is None:
            self._idle_told_s = now_s
        elif 0 < every_s <= now_s - self._idle_told_s:
            self._idle_told_s = now_s
            changes.append(Change("heartbeat", UNKNOWN, 0.0, UNKNOWN, 0))
        return tuple(changes)


_ORDER = {"start": 0, "change": 1, "end": 2}


def _boxes(findings: Sequence[Finding]) -> tuple[Box, ...]:
    boxes = [finding.box for finding in findings if isinstance(finding, Detection)]
    return tuple(boxes[:MOST_BOXES])


def placed(finding: Finding, placement: tuple[float, float, float, float]) -> Finding:
    """Return a finding with its box in the whole picture, of which the model saw a part.

    Args:
        finding: with its box in the model's picture.
        placement: where that lies in the whole picture: left, top, width, height.
    """
    if not isinstance(finding, Detection):
        return finding
    left, top, width, height = placement
    x0, y0, x1, y1 = finding.box
    box = left + x0 * width, top + y0 * height, left + x1 * width, top + y1 * height
    return Detection(
        finding.label, finding.score, (_part(box[0]), _part(box[1]), _part(box[2]), _part(box[3]))
    )


def _part(value: float) -> float:
    return min(max(value, 0.0), 1.0)
