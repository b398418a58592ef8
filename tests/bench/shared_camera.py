"""Four pipelines of one camera against four with a camera each: CPU time, memory, captures, frames a second.

The cameras stand for two kinds, in 1280x720: a folder of JPEG photographs, of which each read decodes one, as
of a USB camera; and a video of 25 frames a second that plays on and is decoded as a whole, as that of a
network camera.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import psutil

from edged.config.root import Config
from edged.models import bundled
from edged.supervisor import PipelineStatus, Supervisor

if TYPE_CHECKING:
    from pathlib import Path

    from edged.ipc import worker_messages

PHOTOGRAPHS = 90  # more than a worker keeps decoded
FPS, SECONDS = 25.0, 4  # of the video
SIZE = (1280, 720)
CROPS = ([0, 0, 640, 720], [640, 0, 640, 720], [0, 0, 1280, 720], [320, 180, 640, 360])
FIGURES = {
    "judged a second": "frames_per_s",
    "captures a second": "captures_per_s",
    "ms CPU a frame": "cpu_ms_per_frame",
    "MB": "pss_mb",
}


class Counter:
    """A listener that counts the pictures that were judged, and those that were read for them."""

    def __init__(self) -> None:
        self.judged: dict[str, set[int]] = {}

    def outcome(self, outcome: worker_messages.Outcome, status: PipelineStatus) -> None:
        """Count it."""
        self.judged.setdefault(status.name, set()).add(outcome.frame or 0)

    def changed(self, status: PipelineStatus) -> None:
        """Nothing."""


def cameras(folder: Path) -> dict[str, dict[str, Any]]:
    """Write photographs and a video; return the keys of both cameras."""
    pictures = [
        cv2.resize(cv2.imread(str(path)), SIZE, interpolation=cv2.INTER_CUBIC)
        for path in sorted(bundled.PHOTOS.glob("*.jpg"))
    ]
    (folder / "photographs").mkdir()
    for number in range(PHOTOGRAPHS):
        cv2.imwrite(str(folder / "photographs" / f"{number:03d}.jpg"), pictures[number % len(pictures)])
    video = cv2.VideoWriter(str(folder / "video.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, SIZE)
    for number in range(round(FPS * SECONDS)):
        video.write(np.roll(pictures[number % len(pictures)], number, axis=1))
    video.release()
    return {
        "photographs": {"kind": "folder", "path": str(folder / "photographs")},
        "video": {"kind": "video", "url": str(folder / "video.mp4"), "loop": True, "realtime": True},
    }


def measure(camera: dict[str, Any], model: dict[str, Any], seconds: float) -> dict[str, Any]:
    """Return the figures of four pipelines that share a camera, and of four that do not."""
    shared = {
        "cameras": {"yard": camera},
        "pipelines": {
            f"p{n}": {"camera": "yard", "crop": crop, "model": model} for n, crop in enumerate(CROPS)
        },
    }
    separate = {
        "pipelines": {
            f"p{n}": {"source": {**camera, "crop": crop}, "model": model} for n, crop in enumerate(CROPS)
        }
    }
    return {
        what: asyncio.run(_run(Config.model_validate(config), seconds))
        for what, config in (("separate", separate), ("shared", shared))
    }


async def _run(config: Config, seconds: float) -> dict[str, float]:
    counter = Counter()
    supervisor = Supervisor(config.pipelines, listener=counter, results=True)
    await supervisor.start()
    await supervisor.settle(60)
    await asyncio.sleep(2)
    processes = [psutil.Process(pid) for pid in set(supervisor.processes().values())]
    counter.judged, began = {}, time.monotonic()
    before = sum(sum(process.cpu_times()[:2]) for process in processes)
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    cpu_s = sum(sum(process.cpu_times()[:2]) for process in processes) - before
    pss = sum(process.memory_full_info().pss for process in processes) / 1e6
    judged = {name: len(frames) for name, frames in counter.judged.items()}
    together = "cameras" in config.model_fields_set
    read = len(set().union(*counter.judged.values())) if together else sum(judged.values())
    await supervisor.stop(3)
    return {
        "frames_per_s": sum(judged.values()) / took,
        "captures_per_s": read / took,
        "cpu_ms_per_s": 1000 * cpu_s / took,
        "cpu_ms_per_frame": 1000 * cpu_s / sum(judged.values()),
        "pss_mb": pss,
        "processes": float(len(processes)),
    }
