"""Measures what the filter of system calls costs: CPU time of a frame with and without it, by turns.

    python tests/bench/filter.py [--rounds 5] [--seconds 4] [--model F.tflite --labels F.txt]

Both run the same synthetic pictures as fast as the model can, in a worker that a real supervisor started. The
machine is noisy, so what counts is CPU time, each round has both, and the figure is the median of the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from crew import Crew, section, synthetic

WARM_S = 1.0
NO_FILTER = """
from edged.system import seccomp
seccomp.Filter.load = lambda self: False
"""


async def cpu_ms_a_frame(keys: dict[str, Any], seconds: float, *, filtered: bool) -> float:
    source = synthetic(size=[640, 480], interval_s=0)
    async with Crew({"porch": section(source, **keys)}, results=False, isolation="optional") as crew:
        await crew.running()
        assert ("seccomp" in crew.status("porch").isolation) is filtered
        await asyncio.sleep(WARM_S)
        frames, used_s = await counted(crew)
        await asyncio.sleep(seconds)
        later, used_later_s = await counted(crew)
        return (used_later_s - used_s) / (later - frames) * 1000


async def counted(crew: Crew) -> tuple[int, float]:
    """Return the frames so far, right when a worker reports them, and the worker's CPU time by then."""
    before = crew.status("porch").frames
    await crew.until(lambda: crew.status("porch").frames != before, every_s=0.001)
    times = psutil.Process(crew.pid("porch")).cpu_times()
    return crew.status("porch").frames, times.user + times.system


def measure(keys: dict[str, Any], seconds: float, rounds: int, unfiltered: str) -> list[tuple[float, float]]:
    """Return the CPU time of a frame with and without the filter, in ms, for each round."""
    usual, found = os.environ.get("PYTHONPATH", ""), []
    for number in range(rounds):
        costs = {}
        for filtered in (True, False) if number % 2 else (False, True):
            os.environ["PYTHONPATH"] = usual if filtered else os.pathsep.join((unfiltered, usual))
            costs[filtered] = asyncio.run(cpu_ms_a_frame(keys, seconds, filtered=filtered))
        found.append((costs[True], costs[False]))
    os.environ["PYTHONPATH"] = usual
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--labels", type=Path)
    given = parser.parse_args()
    keys: dict[str, Any] = {}
    if given.model is not None:
        keys["model"] = {"file": str(given.model.absolute()), "threads": 1}
        if given.labels is not None:
            keys["model"]["labels"] = str(given.labels.absolute())
    os.environ["PATH"] = "/nowhere"  # no bubblewrap, for either
    with tempfile.TemporaryDirectory(prefix="edged-filter-") as folder:
        (Path(folder) / "sitecustomize.py").write_text(NO_FILTER)
        rounds = measure(keys, given.seconds, given.rounds, folder)
    ratios = [with_it / without for with_it, without in rounds]
    print(
        json.dumps(
            {
                "cpu_ms_a_frame": [[round(each, 4) for each in pair] for pair in rounds],
                "ratio": round(statistics.median(ratios), 3),
                "ratios": [round(each, 3) for each in sorted(ratios)],
            }
        )
    )


if __name__ == "__main__":
    main()
