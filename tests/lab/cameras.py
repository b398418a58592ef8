"""Cameras that hang, crash, vanish, freeze, go black or give garbage: who says so, when, and who notices.

::

    python tests/lab/cameras.py

With the deadlines of an untouched configuration every fault must be said within 10 s, a worker that has to be
replaced must run again within 10 s, and the good camera beside them may not miss 2 s.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crew import Crew, section, synthetic
from verdict import verdict

FAULTS = ("hang", "crash", "vanish", "frozen", "black", "garbage")
SLOWEST_S, GAP_S = 10.0, 2.0


async def watch() -> int:
    """Run all of them side by side and return the exit status."""
    # A second between frames is what a camera has by default, and what makes "frozen" slow to tell.
    sections = {fault: section(synthetic(fault=fault, fault_after=3, interval_s=1.0)) for fault in FAULTS}
    async with Crew(sections | {"good": section(synthetic())}) as crew:
        await crew.until(lambda: all(crew.last(name) for name in sections))
        since = min(at for at, _ in crew.outcomes)
        said, again = {}, {}
        for fault in FAULTS:
            await crew.until(lambda fault=fault: any(s.fault for _, s in crew.changes if s.name == fault))
            at = next(at for at, s in crew.changes if s.name == fault and s.fault)
            last = max((t for t, o in crew.outcomes if o.pipeline == fault and t <= at), default=since)
            said[fault] = round(at - last, 2)
            if fault in {"hang", "crash"}:
                again[fault] = round(await crew.result_after(fault, at), 2)
        gap = crew.longest_gap("good", since)
        spared = crew.status("good").restarts == 0
    ok = max(said.values()) <= SLOWEST_S and max(again.values()) <= SLOWEST_S and gap <= GAP_S and spared
    return verdict("cameras", ok, said_after_s=said, running_after_s=again, neighbour_gap_s=round(gap, 2))


if __name__ == "__main__":
    sys.exit(asyncio.run(watch()))
