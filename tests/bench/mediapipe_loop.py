"""MediaPipe's image classifier in a loop: prints classifications a second. For a Python that has mediapipe.

It takes as many threads as it finds cores, so it gets one core, as the other loops have one thread.

python tests/bench/mediapipe_loop.py MODEL SECONDS      # a model with metadata, as the bundled one
"""

from __future__ import annotations

import itertools
import os
import sys
import time

import mediapipe
import numpy as np
from mediapipe.tasks import python
from mediapipe.tasks.python import vision

WARM = 5


def main() -> None:
    model, seconds = sys.argv[1], float(sys.argv[2])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    base = python.BaseOptions(model_asset_path=model)
    frames = np.random.default_rng(1).integers(0, 255, (8, 480, 640, 3), dtype=np.uint8)
    images = itertools.cycle(mediapipe.Image(mediapipe.ImageFormat.SRGB, frame) for frame in frames)
    with vision.ImageClassifier.create_from_options(
        vision.ImageClassifierOptions(base_options=base, max_results=3)
    ) as classifier:
        for _ in range(WARM):
            classifier.classify(next(images))
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            classifier.classify(next(images))
            count += 1
        print(count / (time.perf_counter() - began))


if __name__ == "__main__":
    main()
