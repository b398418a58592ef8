"""Converts one small net from each of TensorFlow's formats in each mode; prints the tables of docs/models.md.

    python tests/lab/convert.py ../shared/testdata/convert

It needs edged[convert] and both runtimes; each conversion takes some seconds. The net tells ten digits apart
(20,074 parameters, 32x32x3); result and source are compared on digits that it was not trained with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RUNTIMES = ("litert", "tflite-runtime")
MODES = ("none", "float16", "dynamic", "int8", "uint8")
SOURCES = {
    "SavedModel": ("savedmodel_v1",),
    ".keras": ("keras3.keras",),
    ".h5 (Keras 3)": ("keras3.h5",),
    "frozen .pb": ("frozen.pb",),
    "MetaGraph, checkpoint": ("ckpt/model.ckpt-100.meta",),
    "GraphDef, checkpoint": ("ckpt/model.ckpt-100", "--graph", "ckpt/graph.pb"),
    "frozen .pb, FakeQuant": ("qat_frozen.pb",),
}
LARGE = ("MobileNetV2", "InceptionV3")
SAVE = """
import tensorflow as tf
tf.keras.utils.set_random_seed(1)
tf.keras.applications.{name}(weights=None).save({file!r})
"""
TRAINED = "frozen .pb, FakeQuant"  # trained with quantisation, for uint8


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the net in each format")
    parser.add_argument("--large", action="store_true", help="MobileNet v2 and Inception v3 instead")
    parser.add_argument("--source", action="append", choices=SOURCES, help="only these (default: all)")
    arguments = parser.parse_args()
    if arguments.large:
        return large(arguments.data)
    names = arguments.source or list(SOURCES)
    with tempfile.TemporaryDirectory() as folder:
        photographs(arguments.data / "digits_test.npz", Path(folder, "digits"))
        Path(folder, "labels.txt").write_text("\n".join(DIGITS) + "\n")
        found = {
            (name, mode): converted(name, mode, arguments.data, Path(folder))
            for name in names
            for mode in MODES
            if name != TRAINED or mode == "uint8"
        }
    print("| source | " + " | ".join(MODES) + " |\n|" + "---|" * (1 + len(MODES)))
    for name in names:
        print(f"| {name} | " + " | ".join(agreement(found.get((name, mode))) for mode in MODES) + " |")
    print("\n| mode | kB | ms | s | MB |\n|---|---|---|---|---|")
    for mode in MODES:
        print(f"| {mode} | " + " | ".join(cost(found.get((names[0], mode)))) + " |")
    return int(any(record is None for record in found.values()))


def large(data: Path) -> int:
    """Convert two large nets with random weights, and print the table."""
    with tempfile.TemporaryDirectory() as folder:
        digits = Path(folder, "digits")
        photographs(data / "digits_test.npz", digits)
        for number, file in enumerate(sorted(digits.rglob("*.png"))):
            if number % 6:  # 100 are enough
                file.unlink()
        print("| net | mode | MB | ms | s | memory, MB |\n|---|---|---|---|---|---|")
        for name in LARGE:
            net = Path(folder, f"{name}.keras")
            subprocess.run([sys.executable, "-c", SAVE.format(name=name, file=str(net))], check=True)
            for mode in ("none", "int8"):
                options = ["--images", str(digits), "--quantize", mode, "--min-agreement", "0"]
                found = run_once([str(net), *options], Path(folder), f"{name}, {mode}")
                if found is None:
                    return 1
                _, times, seconds, memory = cost(found)
                print(f"| {name} | {mode} | {found['bytes'] / 1e6:.1f} | {times} | {seconds} | {memory} |")
    return 0


def converted(name: str, mode: str, data: Path, folder: Path) -> dict[str, Any] | None:
    """Convert the small net once; return what the record says."""
    source, *graph = SOURCES[name]
    where = [str(data / word) if not word.startswith("-") else word for word in graph]
    options = ["--quantize", mode, "--images", str(folder / "digits"), "--labels", str(folder / "labels.txt")]
    return run_once([str(data / source), *where, *options], folder, f"{name}, {mode}")


def run_once(words: list[str], folder: Path, what: str) -> dict[str, Any] | None:
    """Run ``edged convert``; return what the record says."""
    options = ["--normalize=-1..1", "--json", "-o", str(folder / "out.tflite")]
    command = [sys.executable, "-m", "edged", "convert", *words, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{what}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr, flush=True)
        return None
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{what}: {agreement(found)}", file=sys.stderr, flush=True)
    return found


def agreement(record: dict[str, Any] | None) -> str:
    """Return the agreement in LiteRT and in tflite-runtime, in per cent."""
    if record is None:
        return ""
    runs = [record["runtimes"].get(runtime) for runtime in RUNTIMES]
    return " / ".join(f"{100 * run['top1']:.1f}" if run else "-" for run in runs)


def cost(record: dict[str, Any] | None) -> tuple[str, ...]:
    """Return size, time of a run in both runtimes, and time and memory of the conversion."""
    if record is None:
        return ("",) * 4
    runs = [record["runtimes"].get(runtime) for runtime in RUNTIMES]
    times = " / ".join(f"{run['invoke_ms']:.2f}" if run else "-" for run in runs)
    return f"{record['bytes'] / 1000:.1f}", times, f"{record['seconds']:.1f}", str(record["peak_mb"])


def photographs(digits: Path, folder: Path) -> None:
    """Write the digits as pictures, a folder for each."""
    data = np.load(digits)
    for number, (image, label) in enumerate(zip(data["images"], data["labels"], strict=True)):
        grey = np.kron(image.astype(np.float32) * 255 / 16, np.ones((4, 4), np.float32))
        picture = np.stack([grey, 255 - grey, grey // 2 + 64], axis=-1).clip(0, 255).astype(np.uint8)
        target = folder / DIGITS[int(label)]
        target.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(target / f"{number:03}.png"), picture[..., ::-1])


if __name__ == "__main__":
    sys.exit(main())
