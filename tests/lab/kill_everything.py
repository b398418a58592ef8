#!/usr/bin/env python3
"""Kills main, workers, the fork server and the broker by turns, at random moments; looks for what is missing.

    tests/lab/kill_everything.py [--kills 1000] [--seed 1] [--pause 0.8] [--every 0.1] [--seconds N]

A real daemon with its spool on disk and five pipelines, of which two share a camera and so a worker, sends 50
events a second, or more, with TLS, to a mosquitto that has the settings of ``config/mosquitto``; a subscriber
whose session the broker keeps writes down what it hears. Everything is ended by kill -9, also the broker and
main within half a second. Main and the broker are started again, as systemd does; workers and the fork server
are main's business. In the end events stop, the queue empties, and the subscriber's log is held against
``edged audit``: what was accepted must have been heard.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from plant import Plant, family
from verdict import verdict

PIPELINES, SHARING = 3, 2
CHANCES = {"main": 4, "worker": 3, "broker": 2, "forkserver": 1, "both": 1}  # both: the broker, then main
RESTART_S = 0.2  # systemd's RestartSec, shortened: the daemon is there to be killed
EARLY = 0.05  # the chance that something is killed while main is still starting


class Lottery:
    """Draws victims, and starts again what was killed and is nobody else's business."""

    def __init__(self, plant: Plant, text: str, chance: random.Random, pause_s: float) -> None:
        self._plant, self._chance, self._pause_s = plant, chance, pause_s
        self.node = plant.node("client", text)
        self.killed: Counter[str] = Counter()
        self.by_itself: list[int] = []  # exit statuses of a main that nobody killed
        self._due: dict[str, float] = {}

    def play(self, kills: int, seconds: float) -> None:
        self._start()
        self.node.ready()
        end = time.monotonic() + seconds
        while self.killed.total() < kills and time.monotonic() < end:
            self._live(self._chance.uniform(0, self._pause_s))
            self._draw()
        self._live(RESTART_S)
        self._restart(float("inf"))

    def _live(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            if self.node.process.poll() is not None and "main" not in self._due:
                self.by_itself.append(self.node.process.returncode)
                self._due["main"] = now + RESTART_S
            self._restart(now)
            time.sleep(0.005)

    def _restart(self, now: float) -> None:
        for who, at in list(self._due.items()):
            if at <= now:
                del self._due[who]
                self._start() if who == "main" else self._plant.broker.start()

    def _start(self) -> None:
        self.node.hear()
        self.node.told.clear()  # ready is what the next one says
        self.node.start()

    def _draw(self) -> None:
        there = {} if "main" in self._due else family(self.node.pid)
        if "main" in there and "READY=1" not in self.node.hear() and self._chance.random() > EARLY:
            return  # most of the time it may come up before it is killed again
        if "broker" not in self._due:
            there["broker"] = [0]
            if "main" in there:
                there["both"] = [0]
        if not there:
            return
        who = self._chance.choices(list(there), [CHANCES[name] for name in there])[0]
        if who in {"broker", "both"}:
            self._plant.broker.kill()
            self._due["broker"] = time.monotonic() + self._chance.uniform(0, 1.5)
        if who == "both":
            time.sleep(self._chance.uniform(0, 0.5))
        if who in {"main", "both"}:
            self.node.process.kill()
            self.node.process.wait(10)
            self._due["main"] = time.monotonic() + RESTART_S
        elif who != "broker":
            try:
                os.kill(self._chance.choice(there[who]), signal.SIGKILL)
            except ProcessLookupError:
                return
        self.killed[who] += 1


def life(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    with Plant(folder) as plant:
        text = plant.text("client", plant.pipelines(PIPELINES, options.every, sharing=SHARING))
        lottery = Lottery(plant, text, random.Random(options.seed), options.pause)
        node = lottery.node
        try:
            lottery.play(options.kills, options.seconds)
            node.ready()
            off = plant.pipelines(PIPELINES, options.every, enabled=False, sharing=SHARING)
            plant.quiet(node, plant.text("client", off))
            found = plant.settle(node)
        finally:
            node.__exit__()
    return {
        "kills": lottery.killed.total(), "killed": dict(lottery.killed), "by_itself": lottery.by_itself,
        "seconds": round(time.monotonic() - began), "log_kb": len(node.log) // 1024, **found,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.8, help="s between two kills, at most")
    parser.add_argument("--every", type=float, default=0.1, help="s between two events of a pipeline")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="end after so long in any case")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-kill-") as folder:
        found = life(Path(folder), options)
    ok = found.pop("ok") and not found["missing"] and not found["by_itself"] and not found["set_aside"]
    return verdict("kill_everything", ok, seed=options.seed, **found)


if __name__ == "__main__":
    sys.exit(main())
