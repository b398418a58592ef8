"""What the pipeline is compared with, each in a process of its own: prints invocations a second.

python tests/bench/plain.py bare MODEL LABELS SECONDS [THREADS]  # invoke() in a loop, nothing else
python tests/bench/plain.py careful MODEL LABELS SECONDS  # cv2 and the runtime, by a careful user
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter

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


def bare(model: str, seconds: float, threads: int = 1) -> float:
    """``invoke()`` in a loop, in so many threads with an interpreter each."""
    made = [interpreter(model) for _ in range(threads)]
    counts = [0] * threads
    start = threading.Barrier(threads + 1)

    def run(number: int) -> None:
        invoke, count = made[number].invoke, 0
        start.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            invoke()
            count += 1
        counts[number] = count

    workers = [threading.Thread(target=run, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def careful(model: str, labels: str, seconds: float) -> float:
    """Read, resize, colours, invoke, best three, label: one after the other, buffers reused."""
    names = Path(labels).read_text("utf-8").splitlines()
    made = interpreter(model)
    given, asked = made.get_input_details()[0], made.get_output_details()[0]
    height, width = given["shape"][1:3]
    frames = np.random.default_rng(1).integers(0, 255, (8, 480, 640, 3), dtype=np.uint8)
    small = np.empty((height, width, 3), np.uint8)
    scale, zero = asked["quantization"]
    count, begin = 0, time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds:
        cv2.resize(frames[count % 8], (width, height), dst=small, interpolation=cv2.INTER_LINEAR)
        cv2.cvtColor(small, cv2.COLOR_BGR2RGB, dst=small)
        made.set_tensor(given["index"], small[None])
        made.invoke()
        scores = made.get_tensor(asked["index"])[0]
        best = np.argpartition(scores, -3)[-3:]
        _ = [(names[i], (int(scores[i]) - zero) * scale) for i in best[np.argsort(scores[best])[::-1]]]
        count += 1
    return count / (now - begin)


if __name__ == "__main__":
    what, model, labels, seconds, *rest = sys.argv[1:]
    if what == "bare":
        print(bare(model, float(seconds), int(rest[0]) if rest else 1))
    else:
        print(careful(model, labels, float(seconds)))
