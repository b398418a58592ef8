#!/usr/bin/env python3
"""Everything is broken at once and stays so: how much does the daemon write into its log?

    tests/lab/log_volume.py [--seconds 180]

A camera that hangs, one whose library aborts, one that is unplugged, a model that is no model, a broker that
is not there, and a camera that is well. What is written in the first minutes, when all is news, is taken for
every minute of an hour: no more than 1 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from plant import Daemon, free_port, model, pipelines
from verdict import verdict

BOUND_MB = 1.0
FAULTS = ("hang", "crash", "vanish")


def text(folder: Path) -> str:
    """Return the configuration."""
    good = model(folder)
    bad = folder / "bad.tflite"
    bad.write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    (folder / "bad.txt").write_text("red\ngreen\nblue\n")
    camera = "size: [64, 48], interval_s: 0.2"
    lines = [
        f"  {fault}: {{source: {{kind: synthetic, {camera}, fault: {fault}, fault_after: 3}}, "
        f"model: {{file: {good}, threads: 1}}}}\n"
        for fault in FAULTS
    ]
    lines.append(
        f"  bad-model: {{source: {{kind: synthetic, {camera}}}, "
        f"model: {{file: {bad}, labels: {folder}/bad.txt, threads: 1}}}}\n"
    )
    return (
        f"node: client\nstate_dir: {folder}/state\nrun_dir: {folder}/run\n"
        f"mqtt: {{host: 127.0.0.1, port: {free_port()}}}\n{pipelines(good, ['good'], 0.5)}{''.join(lines)}"
    )


def life(folder: Path, seconds: float) -> dict[str, Any]:
    with Daemon(folder, text(folder)) as daemon:
        before = len(daemon.log.encode())
        time.sleep(seconds)
        lived = daemon.process.poll() is None
        states = {name: said["state"] for name, said in daemon.health()["pipelines"].items()}
        log = daemon.log
    size = len(log.encode())
    said = Counter(line[:3] for line in log.splitlines())
    # What was written until READY counts once, the rest for every minute.
    hour_mb = (before + (size - before) * 3600 / seconds) / 1e6
    return {
        "ok": lived and hour_mb <= BOUND_MB and states["good"] == "running",
        "seconds": seconds, "bytes": size, "lines": len(log.splitlines()), "by_priority": dict(said),
        "scaled_to_an_hour_mb": round(hour_mb, 3), "states": states,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=180)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="edged-log-") as folder:
        found = life(Path(folder), options.seconds)
    return verdict("log_volume", found.pop("ok"), **found)


if __name__ == "__main__":
    sys.exit(main())
