"""The kill lottery for workers and their fork server: random signals, and who runs again when.

::

    python tests/lab/kill_workers.py --rounds 1000 --seed 7

A killed worker must decide again within 1 s (95 of 100), a stopped one within 10 s, with all its pipelines:
two share a camera. The fork server must be replaced within 10 s; no neighbour may miss more than 2 s; nothing
may be left over.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crew import Crew, children, descriptors, synthetic
from verdict import verdict

from edged.config.root import Config

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.root import PipelineSection

SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGSTOP)
# The fork server is the first process of a PID namespace: the kernel gives it no others from outside.
SERVER_SIGNALS = (signal.SIGKILL, signal.SIGSTOP)
DEAD_S, STOPPED_S, GAP_S = 1.0, 10.0, 2.0
NAMES = ("a", "b", "c", "d")
SISTERS = ("c", "d")  # they share a camera


class Lottery:
    """Draws victims and keeps the times."""

    def __init__(self, crew: Crew, rng: random.Random) -> None:
        self.crew = crew
        self.rng = rng
        self.dead: list[float] = []  # s from a deadly signal to the next result
        self.stopped: list[float] = []
        self.server: list[float] = []
        self.gap = 0.0  # the longest time without a result of a pipeline that was no victim

    async def draw(self) -> None:
        """Hit somebody and wait until all is well."""
        since = time.monotonic()
        if self.rng.random() < 0.1:
            await self._hit_server(self.rng.choice(SERVER_SIGNALS))
            spared = ()
        else:
            victim = self.rng.choice(NAMES)
            await self._hit_worker(victim, self.rng.choice(SIGNALS))
            spared = tuple(name for name in NAMES if name not in together(victim))
        self.gap = max([self.gap, *(self.crew.longest_gap(name, since) for name in spared)])
        self.crew.outcomes.clear()
        self.crew.changes.clear()
        await asyncio.sleep(self.rng.uniform(0, 0.1))

    async def _hit_worker(self, name: str, sign: signal.Signals) -> None:
        crew = self.crew
        # Each hit is to be the first one: the pauses after the next ones are meant, and long.
        crew.forget_failures(name)
        pid, since = crew.pid(name), time.monotonic()
        os.kill(pid, sign)
        await crew.until(lambda: crew.supervisor.processes().get(name, pid) != pid)
        born = time.monotonic()
        took = born - since + max([await crew.result_after(each, born) for each in together(name)])
        (self.stopped if sign is signal.SIGSTOP else self.dead).append(took)

    async def _hit_server(self, sign: signal.Signals) -> None:
        crew = self.crew
        for name in ("forkserver", *NAMES):
            crew.forget_failures(name)
        pid, since = crew.pid("forkserver"), time.monotonic()
        os.kill(pid, sign)
        await crew.until(lambda: crew.supervisor.processes().get("forkserver", pid) != pid)
        born = time.monotonic()
        for name in NAMES:  # its workers die with it, and all return
            await crew.result_after(name, born)
        self.server.append(time.monotonic() - since)


def together(name: str) -> tuple[str, ...]:
    """Return the pipelines that run in one worker with this one, and it."""
    return SISTERS if name in SISTERS else (name,)


def pipelines() -> Mapping[str, PipelineSection]:
    """Return the pipelines."""
    own = {name: {"source": synthetic()} for name in NAMES if name not in SISTERS}
    shared = {name: {"camera": "yard"} for name in SISTERS}
    return Config.model_validate({"cameras": {"yard": synthetic()}, "pipelines": own | shared}).pipelines


async def play(rounds: int, seed: int) -> int:
    """Play some rounds and return the exit status."""
    async with Crew(pipelines()) as crew:
        await crew.running()
        lottery, files = Lottery(crew, random.Random(seed)), descriptors()
        for _ in range(rounds):
            await lottery.draw()
        await crew.running()
        await asyncio.sleep(0.5)
        left = len(children()) - len({crew.pid(name) for name in NAMES}) - 1
        leaked = descriptors() - files
    dead = sorted(lottery.dead) or [0.0]
    p95 = dead[int(0.95 * (len(dead) - 1))]
    worst_stop, worst_server = max(lottery.stopped, default=0.0), max(lottery.server, default=0.0)
    ok = p95 <= DEAD_S and max(worst_stop, worst_server) <= STOPPED_S and lottery.gap <= GAP_S
    return verdict(
        "kill_workers",
        ok and left == 0 and leaked <= 0,
        rounds=rounds,
        seed=seed,
        killed_p50_s=round(dead[len(dead) // 2], 3),
        killed_p95_s=round(p95, 3),
        killed_max_s=round(dead[-1], 3),
        stopped_max_s=round(worst_stop, 3),
        forkserver_max_s=round(worst_server, 3),
        neighbour_gap_s=round(lottery.gap, 3),
        processes_left=left,
        descriptors_leaked=leaked,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="the kill lottery for workers")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    sys.exit(asyncio.run(play(arguments.rounds, arguments.seed)))
