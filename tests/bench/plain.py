"""What the pipeline is compared with, each in a process of its own: prints invocations a second.

python tests/bench/plain.py bare MODEL LABELS SECONDS [THREADS]  # invoke() in a loop, nothing else
python tests/bench/plain.py careful MODEL LABELS SECONDS [THREADS]  # cv2 and the runtime, by a careful user
python tests/bench/plain.py pycoral MODEL LABELS SECONDS [THREADS]  # as the examples of pycoral do it

With --cpu it prints the milliseconds of CPU time of an invocation after that.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

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


class Class(NamedTuple):
    """A result, as pycoral has it."""

    id: int
    score: float


def pycoral(model: str) -> Callable[[], object]:
    """As pycoral's camera examples do it: colours, resize, a copy into the input, all scores dequantised."""
    made = interpreter(model)
    given, asked = made.get_input_details()[0], made.get_output_details()[0]
    height, width = given["shape"][1:3]
    frames = np.random.default_rng(1).integers(0, 255, (8, 480, 640, 3), dtype=np.uint8)
    scale, zero = asked["quantization"]
    pictures = itertools.cycle(frames)

    def step() -> object:
        rgb = cv2.cvtColor(next(pictures), cv2.COLOR_BGR2RGB)
        resized = cv2.resize(rgb, (width, height))
        made.tensor(given["index"])()[0][:, :] = np.frombuffer(resized.tobytes(), np.uint8).reshape(
            height, width, 3
        )
        made.invoke()
        scores = scale * (made.get_tensor(asked["index"])[0].astype(np.int64) - zero)
        best = np.argpartition(scores, -3)[-3:]
        return sorted((Class(i, scores[i]) for i in best), key=lambda c: -c.score)

    return step


if __name__ == "__main__":
    what, model, labels, seconds, *rest = [word for word in sys.argv[1:] if word != "--cpu"]
    names = Path(labels).read_text("utf-8").splitlines()
    makers = {"bare": bare, "careful": lambda model: careful(model, names), "pycoral": pycoral}
    made = [makers[what](model) for _ in range(int([*rest, "1"][0]))]
    began = time.process_time()
    rate = together(made, float(seconds))
    cpu_ms = (time.process_time() - began) / (rate * float(seconds)) * 1000
    print(rate, cpu_ms if "--cpu" in sys.argv else "")
