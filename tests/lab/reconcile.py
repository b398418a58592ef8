#!/usr/bin/env python3
"""Holds what a subscriber heard against what a node accepted: ``edged audit --json`` beside a log.

    tests/lab/reconcile.py HEARD.jsonl [AUDIT.json]

The log is that of ``subscriber.py``: one JSON object for each message, ``at`` (s since 1970), ``id``
(node/epoch/sequence), ``replayed`` (the node's mark), ``dup`` (the broker's), ``digest`` (of what it says),
for the records of the spool also ``type`` and ``count``. Without a second file the audit is read from
standard input. Exit status 1 where something is missing, was heard and never accepted, is there twice
without a mark or with another content, or does not add up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

EXAMPLES = 10


@dataclass(frozen=True, slots=True)
class Heard:
    """One message, as it came.

    Attributes:
        at: when, in s since 1970.
        epoch, number: of its id.
        replayed: marked by the node: it waited, or is said once more.
        dup: marked by the broker: it may have been given out before.
        dropped: of a gap record, how many events will never come.
        digest: of its content but for the mark.
    """

    at: float
    epoch: str
    number: int
    replayed: bool = False
    dup: bool = False
    dropped: int = 0
    digest: str = ""

    @property
    def marked(self) -> bool:
        """Whether somebody said that it may be a repetition."""
        return self.replayed or self.dup


def read(lines: Iterable[str], node: str = "") -> list[Heard]:
    """Return what a subscriber wrote down of a node (of all, by default); a torn last line is left out."""
    heard = []
    for line in lines:
        if not line.endswith("\n"):
            break
        said = json.loads(line)
        name, epoch, number = said["id"].split("/")
        if node in {"", name}:
            dropped = said.get("count", 0) if said.get("type") == "gap" else 0
            marks, digest = (said["replayed"], said["dup"]), said.get("digest", "")
            heard.append(Heard(said["at"], epoch, int(number), *marks, dropped, digest))
    return heard


def compare(accepted: Collection[int], heard: Sequence[Heard]) -> dict[str, Any]:
    """GateNews the numbers of one epoch that were accepted against what was heard of that epoch.

    Returns:
        ``heard`` (different ones); ``unheard``, with ``gaps``, the first and last number of each run;
        ``unknown``: heard and never accepted; ``twice_marked`` and ``twice_unmarked``: repetitions by whether
        somebody said so; ``changed``: repetitions that say something else; ``out_of_order``: neighbours in
        the wrong order among what was heard for the first time and not marked; ``silence_s``: the longest
        time between two messages.
    """
    wanted, seen = set(accepted), dict[int, Heard]()
    repeated: Counter[bool] = Counter()
    changed = 0
    for message in heard:
        first = seen.setdefault(message.number, message)
        if first is not message:
            repeated[message.marked] += 1
            changed += first.digest != message.digest
    unheard = sorted(wanted - seen.keys())
    fresh = [message.number for message in seen.values() if not message.marked]
    return {
        "heard": len(seen.keys() & wanted),
        "unheard": len(unheard),
        "gaps": runs(unheard)[:EXAMPLES],
        "unknown": len(seen.keys() - wanted),
        "twice_marked": repeated[True],
        "twice_unmarked": repeated[False],
        "changed": changed,
        "out_of_order": sum(b < a for a, b in itertools.pairwise(fresh)),
        "silence_s": round(max((b.at - a.at for a, b in itertools.pairwise(heard)), default=0.0), 2),
    }


def runs(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending numbers as first and last of each run without a hole."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return found


def reconcile(heard: Sequence[Heard], audit: dict[str, Any]) -> dict[str, Any]:
    """GateNews everything that was heard of a node against its audit.

    What was not heard may still wait, or was dropped and counted; the rest is ``missing``. Only with nothing
    queued is that exact: what waits may have been heard already, its acknowledgement being under way. Of
    epochs before the one that the audit is about only the holes can be seen.

    Returns:
        What :func:`compare` says of the audit's epoch; ``missing``; ``accepted``, ``acknowledged``,
        ``queued`` and ``dropped`` of the audit; ``dropped_said`` in gap records; ``earlier``: by epoch, the
        numbers that are missing below the highest that was heard; ``ok``.
    """
    here = [message for message in heard if message.epoch == audit["epoch"]]
    found = compare(range(1, audit["last"] + 1), here)
    dropped = sum(audit["dropped"].values())
    missing = max(0, found["unheard"] - audit["queued"] - dropped)
    earlier = {
        epoch: len(set(range(1, max(numbers) + 1)) - numbers)
        for epoch, numbers in _epochs(heard).items()
        if epoch != audit["epoch"]
    }
    bad = (
        missing
        or any(found[key] for key in ("unknown", "twice_unmarked", "changed"))
        or any(earlier.values())
    )
    return {
        "accepted": audit["accepted"],
        "acknowledged": audit["acknowledged"],
        "queued": audit["queued"],
        "dropped": dropped,
        "dropped_said": sum(message.dropped for message in {m.number: m for m in here}.values()),
        "missing": missing,
        **found,
        "earlier": earlier,
        "ok": not bad and audit["balanced"] is True,
    }


def _epochs(heard: Sequence[Heard]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for message in heard:
        found.setdefault(message.epoch, set()).add(message.number)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("heard", type=Path)
    parser.add_argument("audit", nargs="?", type=Path)
    options = parser.parse_args()
    audit = json.loads(options.audit.read_text("utf-8") if options.audit else sys.stdin.read())
    with options.heard.open(encoding="utf-8") as lines:
        found = reconcile(read(lines, audit["node"]), audit)
    print(json.dumps(found))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
