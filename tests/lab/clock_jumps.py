"""The wall clock jumps by years, both ways, under running workers: no timer moves, nothing is restarted.

::

    python tests/lab/clock_jumps.py --jumps 40 --seed 3

The machine's clock is left alone: ``clock/sitecustomize.py`` moves that of the processes of this case.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crew import Crew, section, synthetic
from verdict import verdict

HERE = Path(__file__).resolve().parent
YEAR_S = 365.25 * 86400
GAP_S = 2.0


async def jump(jumps: int, seed: int) -> int:
    """Move the clock so often and return the exit status."""
    rng, clock = random.Random(seed), Path(os.environ["EDGED_LAB_CLOCK"])
    async with Crew({"a": section(synthetic()), "b": section(synthetic())}) as crew:
        await crew.running()
        since, followed = time.monotonic(), 0
        for _ in range(jumps):
            new = clock.with_suffix(".new")
            new.write_text(str(rng.uniform(-50, 50) * YEAR_S), "ascii")
            new.replace(clock)
            await asyncio.sleep(0.3)
            outcome = crew.outcomes[-1][1]
            followed += abs(outcome.decided_at - time.time()) < 2
        gap = max(crew.longest_gap(name, since) for name in "ab")
        restarts = sum(status.restarts for status in crew.supervisor.status().values())
        faults = sum(bool(status.fault) for _, status in crew.changes)
    ok = gap <= GAP_S and not restarts and not faults and followed == jumps
    return verdict(
        "clock_jumps",
        ok,
        jumps=jumps,
        seed=seed,
        stamps_followed=followed,
        restarts=restarts,
        faults=faults,
        longest_gap_s=round(gap, 2),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="clock jumps")
    parser.add_argument("--jumps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if "EDGED_LAB_CLOCK" not in os.environ:
        # Once more, with a clock that can be moved.
        with tempfile.TemporaryDirectory() as folder:
            # Beside the clock, so that workers see both in their namespaces.
            shutil.copy(HERE / "clock" / "sitecustomize.py", folder)
            path = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))
            moved = {"EDGED_LAB_CLOCK": f"{folder}/clock", "PYTHONPATH": path}
            again = subprocess.run([sys.executable, *sys.argv], env=os.environ | moved, check=False)
            sys.exit(again.returncode)
    sys.exit(asyncio.run(jump(arguments.jumps, arguments.seed)))
