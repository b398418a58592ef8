"""Every way in which an Edge TPU fails, with stand-ins for its library: results again within 10 s.

::

    python tests/lab/edgetpu.py

Each failure by itself, with the deadlines of an untouched configuration, a good pipeline beside it, and the
same main process throughout.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import delegates
from crew import Crew, section, synthetic
from verdict import verdict

TESTDATA = Path(__file__).resolve().parents[3] / "shared" / "testdata"
SLOWEST_S, GAP_S = 10.0, 2.0
AT_START = (
    "absent",
    "no library",
    "no delegate",
    *(f"{what} {when}" for when in ("open", "prepare", "allocate") for what in delegates.WHATS),
)
LATER = tuple(f"{what} {when}" for when in ("invoke", "bus") for what in delegates.WHATS if what != "fail")


def pipeline(library: Path) -> Any:
    """Return a pipeline with both models of the test data."""
    model = {
        "file": str(TESTDATA / "models/mobilenet_v1_0.25_128_quant.tflite"),
        "edgetpu_file": str(TESTDATA / "models/mobilenet_v1_0.25_128_quant_edgetpu.tflite"),
        "labels": str(TESTDATA / "labels/imagenet_labels.txt"),
    }
    accelerator = {"policy": "prefer", "library": str(library)}
    return section(synthetic(interval_s=0.1), model=model, accelerator=accelerator)


async def fail(folder: Path, kind: str) -> tuple[float, float]:
    """Let one failure happen; returns how long there was no result, and the neighbour's longest gap."""
    library = folder / "libedgetpu.so.1"
    if kind in LATER or kind == "fail invoke":
        delegates.build(library)
    else:
        delegates.prepare(library, kind)
    async with Crew({"tpu": pipeline(library), "good": section(synthetic())}) as crew:
        if kind in LATER or kind == "fail invoke":
            await crew.running()
            assert crew.status("tpu").accelerator == "edgetpu"
            delegates.cue(library, kind)
        else:
            await crew.until(lambda: "tpu" in crew.supervisor.processes())
        since = time.monotonic()
        if kind == "hang bus":  # a thread of its own that hangs does no harm, unless it has Python's lock
            await asyncio.sleep(1)
            return await crew.result_after("tpu", time.monotonic()), 0.0
        await crew.until(lambda: crew.status("tpu").degraded and crew.status("tpu").online)
        took = time.monotonic() - since
        await crew.running("good")
        return took, crew.longest_gap("good", max(since, crew.outcomes[0][0]))


async def run(kinds: tuple[str, ...]) -> int:
    """Let all of them happen, one after another; returns the exit status."""
    main, took, gaps = os.getpid(), {}, []
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            took[kind], gap = await fail(Path(folder), kind)
            gaps.append(gap)
            print(f"{kind:18} {took[kind]:5.2f} s", file=sys.stderr)
    return verdict(
        "edgetpu",
        max(took.values()) <= SLOWEST_S and max(gaps) <= GAP_S and os.getpid() == main,
        results_after_s={kind: round(seconds, 2) for kind, seconds in took.items()},
        neighbour_gap_s=round(max(gaps), 2),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Edge TPUs that fail")
    parser.add_argument("kinds", nargs="*", default=[*AT_START, "fail invoke", *LATER])
    if delegates.missing_tools() or not TESTDATA.is_dir():
        sys.exit(delegates.missing_tools() or f"the real models are not there: {TESTDATA}")
    sys.exit(asyncio.run(run(tuple(parser.parse_args().kinds))))
