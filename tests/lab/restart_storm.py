"""A worker that is killed again and again: no leaked descriptor, no zombie, no growth of main.

::

    python tests/lab/restart_storm.py --respawns 1000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crew import Crew, children, descriptors, proc, section, synthetic
from verdict import verdict

MOST_GROWTH_MB = 5.0
_WARM = 0.1  # of the respawns, before anything is counted


def rss_mb() -> float:
    """Return this process's memory."""
    gc.collect()
    return int(proc(os.getpid(), "status")["VmRSS"].split()[0]) / 1024


async def storm(respawns: int) -> int:
    """Kill a worker so often and return the exit status."""
    async with Crew({"porch": section(synthetic())}, results=False) as crew:
        await crew.running()
        began, files, memory = time.monotonic(), 0, 0.0
        for number in range(respawns):
            if number == int(_WARM * respawns):
                files, memory = descriptors(), rss_mb()
            crew.forget_failures("porch")
            pid = crew.pid("porch")
            os.kill(pid, signal.SIGKILL)
            await crew.until(lambda pid=pid: crew.supervisor.processes().get("porch", pid) != pid)
            crew.changes.clear()
        took = time.monotonic() - began
        await crew.running()
        leaked, grown = descriptors() - files, rss_mb() - memory
        left = len(children()) - 2
        counted = crew.status("porch").restarts
    return verdict(
        "restart_storm",
        leaked <= 0 and grown < MOST_GROWTH_MB and left == 0 and counted == respawns,
        respawns=respawns,
        counted=counted,
        per_second=round(respawns / took, 1),
        descriptors_leaked=leaked,
        growth_mb=round(grown, 2),
        processes_left=left,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="a restart storm")
    parser.add_argument("--respawns", type=int, default=1000)
    sys.exit(asyncio.run(storm(parser.parse_args().respawns)))
