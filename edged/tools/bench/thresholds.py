"""What thresholds would do to the answers that were judged, and which ones to write. Pure.

A photograph counts as a pipeline without votes would decide it: for its best label, where the score reaches
the threshold, and as ``unknown`` otherwise. A folder ``unknown`` has photographs that no label fits. The best
threshold has the most right decisions less wrong ones; among equal ones that with the fewest wrong ones.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.events import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STEPS = tuple(step / 10 for step in range(1, 10))
LEAST_OF_LABEL = 5  # photographs for which a label may get a threshold of its own
_Z = 1.959964  # of a normal distribution, 95 % lie within this many deviations
_BELOW = 0.9  # of the lowest right score, where no wrong one limits the threshold
_PLAIN = re.compile(r"[A-Za-z][\w -]*\w")
_WORDS_OF_YAML = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})


@dataclass(frozen=True)
class Said:
    """The best answer to one photograph.

    Attributes:
        folder: the name of the folder that it lies in.
        label: the label with the best score.
        score: its score, 0..1.
        right: whether that is the right label.
    """

    folder: str
    label: str
    score: float
    right: bool


def interval(right: int, count: int) -> tuple[float, float]:
    """Return where a share lies with 95 % confidence (Wilson's interval, which suits small samples).

    Args:
        right: how many of the sample.
        count: the size of the sample, at least 1.
    """
    part, square = right / count, _Z * _Z
    middle = (part + square / (2 * count)) / (1 + square / count)
    half = _Z / (1 + square / count) * math.sqrt(part * (1 - part) / count + square / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def by_label(answers: Iterable[Said]) -> dict[str, dict[str, Any]]:
    """Return for each folder how many photographs it has, how many are right, and what the others are.

    For a folder ``unknown``, whose photographs no label fits, ``right`` is None.
    """
    found: dict[str, dict[str, Any]] = {}
    taken: dict[str, Counter[str]] = {}
    for said in answers:
        row = found.setdefault(said.folder, {"n": 0, "right": 0})
        row["n"] += 1
        row["right"] += said.right
        taken.setdefault(said.folder, Counter()).update([] if said.right else [said.label])
    for folder, row in found.items():
        if folder == UNKNOWN and not row["right"]:
            row["right"] = None  # no label is right for these
        row["confused"] = dict(taken[folder].most_common())
    return found


def effect(answers: Iterable[Said], threshold: float) -> dict[str, Any]:
    """Return how many photographs a threshold would decide right, wrong, and not at all."""
    counts = Counter("unknown" if s.score < threshold else "right" if s.right else "wrong" for s in answers)
    return {"threshold": threshold, **{key: counts[key] for key in ("right", "wrong", "unknown")}}


def best(answers: Sequence[Said]) -> float | None:
    """Return the best threshold, with two or three decimals; None where every one does harm."""
    ordered = sorted(answers, key=lambda said: -said.score)
    chosen, most, gain = 0, 0, 0
    for number, (said, following) in enumerate(itertools.pairwise([*ordered, None]), 1):
        gain += 1 if said is not None and said.right else -1
        same = following is not None and said is not None and following.score == said.score
        if gain > most and not same:
            chosen, most = number, gain
    if not chosen:
        return None
    lowest = ordered[chosen - 1].score
    beneath = ordered[chosen].score if chosen < len(ordered) else None
    return _rounded(_BELOW * lowest if beneath is None else (lowest + beneath) / 2, lowest, beneath or 0.0)


def _rounded(threshold: float, lowest: float, beneath: float) -> float:
    """Return a threshold with as few decimals as keep it above one score and not above the other."""
    for decimals in (2, 3, 4):
        if beneath < round(threshold, decimals) <= lowest:
            return round(threshold, decimals)
    return lowest


def decision(answers: Sequence[Said]) -> dict[str, Any]:
    """Return the ``decision`` block to write: a threshold, and others for labels that gain by their own.

    Empty where no threshold does any good.
    """
    common = best(answers)
    if common is None:
        return {}
    labels = {}
    for label in sorted({said.label for said in answers}):
        mine = [said for said in answers if said.label == label]
        own = best(mine)
        if len(mine) >= LEAST_OF_LABEL and own is not None and _gain(mine, own) > _gain(mine, common):
            labels[label] = {"threshold": own}
    return {"threshold": common} | ({"labels": labels} if labels else {})


def _gain(answers: Sequence[Said], threshold: float) -> int:
    found = effect(answers, threshold)
    return int(found["right"] - found["wrong"])


def applied(answers: Sequence[Said], block: dict[str, Any]) -> dict[str, int]:
    """Return what a ``decision`` block would do: right, wrong, unknown."""
    own = block.get("labels", {})
    counts: Counter[str] = Counter()
    for label, group in itertools.groupby(sorted(answers, key=lambda s: s.label), lambda s: s.label):
        threshold = own.get(label, block)["threshold"]
        found = effect(group, threshold)
        counts.update({key: found[key] for key in ("right", "wrong", "unknown")})
    return {key: counts[key] for key in ("right", "wrong", "unknown")}


def report(answers: Sequence[Said]) -> dict[str, Any]:
    """Return everything as data for JSON."""
    block = decision(answers)
    return {
        "labels": by_label(answers),
        "thresholds": [effect(answers, step) for step in STEPS],
        "decision": block or None,
        "decided": applied(answers, block) if block else None,
    }


def line(block: dict[str, Any]) -> str:
    """Return a ``decision`` block as a line of YAML."""
    own = ", ".join(
        f"{_key(label)}: {{threshold: {rule['threshold']:g}}}"
        for label, rule in block.get("labels", {}).items()
    )
    return f"decision: {{threshold: {block['threshold']:g}{f', labels: {{{own}}}' if own else ''}}}"


def _key(label: str) -> str:
    plain = _PLAIN.fullmatch(label) and label.lower() not in _WORDS_OF_YAML
    return label if plain else json.dumps(label, ensure_ascii=False)
