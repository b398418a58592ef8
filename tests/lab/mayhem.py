"""Everything at once: switches, reloads, signals, an Edge TPU that comes and goes; then all must run.

::

    python tests/lab/mayhem.py --seconds 60 --seed 3

Afterwards every pipeline must run within 90 s, no process may be left over, and nothing may have been raised
on the event loop meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import delegates
from crew import Crew, children, synthetic
from verdict import verdict

from edged.config.root import Config
from edged.supervisor import accelerators

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edged.config.root import PipelineSection

TESTDATA = Path(__file__).resolve().parents[3] / "shared" / "testdata"
NAMES = ("a", "b", "c", "d", "e", "f")
SISTERS = ("d", "e", "f")  # they share a camera
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP)
CUES = ("", "", "fail open", "fail invoke", "abort invoke", "hang open", "hang invoke")
PEACE_S = 90.0


class Mayhem:
    """Does one thing after another to a crew."""

    def __init__(self, rng: random.Random, library: Path) -> None:
        self.rng = rng
        self.library = library
        self.deeds = 0

    def pipelines(self, names: Sequence[str]) -> dict[str, PipelineSection]:
        """Return some pipelines, sound or not, of which some share a camera."""
        blocks: dict[str, Any] = {
            name: {"camera": "yard"} | self.keys("prefer")
            if name in SISTERS
            else {"source": self.source()} | self.keys("prefer", "require")
            for name in names
        }
        return Config.model_validate({"cameras": {"yard": self.source()}, "pipelines": blocks}).pipelines

    def source(self) -> dict[str, Any]:
        """Return a source, sound or not."""
        source = synthetic(seed=self.rng.randrange(3))
        if self.rng.random() < 0.2:
            fault = self.rng.choice(["crash", "vanish", "garbage"])
            source |= {"fault": fault, "fault_after": self.rng.randrange(20)}
        return source

    def keys(self, *policies: str) -> dict[str, Any]:
        """Return a pipeline's other keys: nothing, or a model on the Edge TPU by some policy."""
        if self.rng.random() < 0.5:
            return {}
        model = {
            "file": str(TESTDATA / "models/mobilenet_v1_0.25_128_quant.tflite"),
            "edgetpu_file": str(TESTDATA / "models/mobilenet_v1_0.25_128_quant_edgetpu.tflite"),
            "labels": str(TESTDATA / "labels/imagenet_labels.txt"),
        }
        return {
            "model": model,
            "accelerator": {"policy": self.rng.choice(policies), "library": str(self.library)},
        }

    async def deed(self, crew: Crew) -> None:
        """Do something, or nothing."""
        rng, supervisor = self.rng, crew.supervisor
        self.deeds += 1
        what = rng.random()
        if what < 0.3:
            if known := sorted(supervisor.status()):
                supervisor.enable(rng.choice(known), on=rng.random() < 0.6)
        elif what < 0.45:
            if names := rng.sample(NAMES, rng.randint(0, len(NAMES))):
                await supervisor.apply(self.pipelines(names), rng.choice(["required", "optional"]))
        elif what < 0.7:
            if pids := sorted(set(supervisor.processes().values())):
                with contextlib.suppress(ProcessLookupError):  # it died with its fork server
                    os.kill(rng.choice(pids), rng.choice(SIGNALS))
        elif what < 0.85:
            delegates.cue(self.library, rng.choice(CUES))
        await asyncio.sleep(rng.choice([0, 0.001, 0.05, 0.2]))


def sound() -> dict[str, PipelineSection]:
    """Return pipelines that work."""
    blocks = {name: {"camera": "yard"} if name in SISTERS else {"source": synthetic()} for name in NAMES}
    return Config.model_validate({"cameras": {"yard": synthetic()}, "pipelines": blocks}).pipelines


async def play(seconds: float, seed: int, folder: Path) -> int:
    """Do so for some time, make peace, and return the exit status."""
    mayhem = Mayhem(random.Random(seed), delegates.build(folder / "libedgetpu.so.1"))
    raised: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: raised.append(str(what)))
    async with Crew(mayhem.pipelines(NAMES), results=False) as crew:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await mayhem.deed(crew)
        delegates.cue(mayhem.library, "")
        await crew.supervisor.apply(sound(), "required")
        for name in NAMES:
            crew.supervisor.enable(name, on=True)
        calm = await crew.running(within_s=PEACE_S)
        await crew.until(
            lambda: len(children()) == len(NAMES) - len(SISTERS) + 2, "no process left over", within_s=10
        )
    left = children()
    return verdict(
        "mayhem",
        not left and not raised,
        seconds=seconds,
        seed=seed,
        deeds=mayhem.deeds,
        running_again_s=round(calm, 2),
        raised=raised[:3],
        processes_left=len(left),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="everything at once")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if delegates.missing_tools() or not TESTDATA.is_dir():
        sys.exit(delegates.missing_tools() or f"the real models are not there: {TESTDATA}")
    logging.disable(logging.CRITICAL)
    accelerators.FIRST_PAUSE_S = 1.0  # or no probe would happen meanwhile
    with tempfile.TemporaryDirectory() as place:
        sys.exit(asyncio.run(play(arguments.seconds, arguments.seed, Path(place))))
