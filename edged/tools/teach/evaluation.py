"""Makes the report of an examination: figures, a confusion matrix, and what to photograph next."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edged.ipc.teach_request import STRANGER
from edged.models.taught.head_file import LEAST, OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ENOUGH = 10  # beyond this many, more photographs of a label that is recognised gain little
GOOD = 0.95
_ADVICE = 5  # sentences


def of_examples(labels: Sequence[str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what leaving each example out tells.

    Args:
        labels: of the head, by number.
        found: what the process that taught or examined sent.
    """
    triples = list(zip(found["answers"], found["left_out"], found["kept"], strict=True))
    per_label = Counter(answer for answer, _, _ in triples)
    told = [triple for triple in triples if per_label[triple[0]] >= LEAST]
    right = sum(answer == named for answer, named, _ in told)
    return {
        "leave_one_out": round(right / len(told), 4) if told else None,
        **_figures(labels, told),
        "examples": {labels[number]: count for number, count in sorted(per_label.items())},
    }


def of_pictures(labels: Sequence[str], found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what examples that were not taught tell.

    Args:
        labels: of the head, by number.
        found: what the process that examined sent.
    """
    triples = list(zip(found["right"], found["judged"], found["passed"], strict=True))
    known = [triple for triple in triples if triple[0] != STRANGER]
    right = sum(answer == named for answer, named, _ in known)
    strangers = [passed for answer, _, passed in triples if answer == STRANGER]
    figures = _figures(labels, known)
    return {
        "top1": round(right / len(known), 4) if known else None,
        **figures,
        "unknown": {**figures["unknown"], "n": len(strangers), "rejected": strangers.count(False)},
    }


def _figures(labels: Sequence[str], triples: Sequence[tuple[int, int, bool]]) -> dict[str, Any]:
    """Return the figures of (right label, named label, passed the gates)."""
    rows: dict[str, Counter[str]] = {}
    for answer, named, _ in triples:
        rows.setdefault(labels[answer], Counter())[labels[named]] += 1
    passed = [(answer, named) for answer, named, kept in triples if kept and labels[answer] != OTHER]
    own = sum(labels[answer] != OTHER for answer, _, _ in triples)
    return {
        "labels": {label: {"n": row.total(), "right": row[label]} for label, row in rows.items()},
        "confusion": {label: dict(row) for label, row in rows.items()},
        "unknown": {
            "kept": round(len(passed) / own, 4) if own else None,
            "right_among_kept": round(sum(a == b for a, b in passed) / len(passed), 4) if passed else None,
        },
    }


def pairs(confusion: Mapping[str, Mapping[str, int]]) -> list[tuple[str, str, int]]:
    """Return the labels that are mixed up, both ways together, with how often; most often first."""
    counts: Counter[tuple[str, str]] = Counter()
    for label, row in confusion.items():
        for named, count in row.items():
            if named != label:
                counts[min(label, named), max(label, named)] += count
    return [(one, other, count) for (one, other), count in counts.most_common()]


def advice(
    examples: Mapping[str, int],
    labels: Mapping[str, Mapping[str, int]],
    confusion: Mapping[str, Mapping[str, int]],
    noun: str,
) -> list[str]:
    """Return what to show the model next, the most useful first.

    Args:
        examples: how many examples each label has.
        labels: for each label, how many were tried and right.
        confusion: how often each label was taken for each.
        noun: what an example is, such as ``photograph``.
    """
    pictures = noun == "photograph"
    few = [label for label, count in examples.items() if count < LEAST]
    said = [f"{label}: at least {LEAST} {noun}s, so that it can be judged" for label in few]
    for one, other, count in pairs(confusion):
        times = "once" if count == 1 else f"{count} times"
        more = "photographs of both in the same place and light" if pictures else f"more {noun}s of both"
        said.append(f"{one} and {other}, mixed up {times}: {more}")
    said += _of_each(examples, labels, noun)
    named = [label for label in examples if label != OTHER]
    if OTHER not in examples:
        what = "what else may be there" if pictures else "what else may be said"
        said.append(f"{OTHER}: {noun}s of {what}, which is none of {', '.join(named[:3])}")
    return said[:_ADVICE]


def _of_each(
    examples: Mapping[str, int], labels: Mapping[str, Mapping[str, int]], noun: str
) -> Iterable[str]:
    for label, row in sorted(labels.items(), key=lambda item: item[1]["right"] / max(item[1]["n"], 1)):
        if row["right"] < GOOD * row["n"] and examples.get(label, 0) < ENOUGH:
            yield f"{label}, right in {row['right']} of {row['n']}: more {noun}s of it"
