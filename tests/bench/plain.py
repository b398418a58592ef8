"""What the pipeline is compared with, each in a process of its own: prints invocations a second.

python tests/bench/plain.py bare MODEL LABELS SECONDS [THREADS]  # invoke() in a loop, nothing else
python tests/bench/plain.py careful MODEL LABELS SECONDS [THREADS]  # cv2 and the runtime, by a careful user
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WARM = 10


def interpreter(model: str) -> Interpreter:
    made = Interpreter(model_path=model, num_threads=1)
    made.allocate_tensors()
    shape = made.get_input_details()[0]["shape"]
    picture = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    made.set_tensor(made.get_input_details()[0]["index"], picture)
    for _ in range(WARM):
        made.invoke()
    return made


def together(steps: Sequence[Callable[[], object]], seconds: float) -> float:
    """Each step in a loop, in a thread of its own."""
    counts = [0] * len(steps)
    start = threading.Barrier(len(steps) + 1)

    def run(number: int) -> None:
        step, count = steps[number], 0
        start.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            step()
            count += 1
        counts[number] = count

    workers = [threading.Thread(target=run, args=(n,)) for n in range(len(steps))]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def bare(model: str) -> Callable[[], object]:
    """``invoke()``, nothing else."""
    return interpreter(model).invoke


def careful(model: str, names: Sequence[str]) -> Callable[[], object]:
    """Read, resize, colours, invoke, best three, label: one after the other, buffers reused."""
    made = interpreter(model)
    given, asked = made.get_input_details()[0], made.get_output_details()[0]
    height, width = given["shape"][1:3]
    frames = np.random.default_rng(1).integers(0, 255, (8, 480, 640, 3), dtype=np.uint8)
    small = np.empty((height, width, 3), np.uint8)
    scale, zero = asked["quantization"]
    pictures = itertools.cycle(frames)

    def step() -> object:
        cv2.resize(next(pictures), (width, height), dst=small, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small)
        made.set_tensor(given["index"], small[None])
        made.invoke()
        scores = made.get_tensor(asked["index"])[0]
        best = np.argpartition(scores, -3)[-3:]
        return [(names[i], (int(scores[i]) - zero) * scale) for i in best[np.argsort(scores[best])[::-1]]]

    return step


if __name__ == "__main__":
    what, model, labels, seconds, *rest = sys.argv[1:]
    names = Path(labels).read_text("utf-8").splitlines()
    made = [bare(model) if what == "bare" else careful(model, names) for _ in range(int([*rest, "1"][0]))]
    print(together(made, float(seconds)))
