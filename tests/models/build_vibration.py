"""Builds two small int8 models of made vibrations, by numpy alone, and prints how good they are.

::

    python tests/models/build_vibration.py FOLDER

* ``vibration.tflite`` with ``vibration.txt``: three classes, from 64 samples of three axes at 50 Hz.
* ``vibration-autoencoder.tflite``: rebuilds what a machine does that runs well, and nothing else.

What they know is made: a machine that stands still (noise), one that runs (a sine of 5 to 8 Hz, about 0.3 g),
and one that is unbalanced (the same at three times the strength). Same seed, same bytes.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tflite_builder import Kind, Layer, stack

from edged.inference.runtime import open_interpreter
from edged.inference.window_preparer import WindowPreparer
from edged.models.spec import WindowInput
from edged.models.tensor import Tensor
from edged.sources import Window

STEPS, CHANNELS, STEP_S = 64, 3, 0.02
LABELS = ("idle", "running", "unbalanced")
SCALE = 0.5  # g; what the models call 1: source.std
AXES = np.array([[0.0, 0.0, 0.0], [0.30, 0.30, 0.30], [0.95, 0.95, 0.95]])  # amplitude in g, by class
HIDDEN = 24
PARTS = 33  # numbers to which the autoencoder shrinks a window


@dataclass
class Built:
    """What was built, with its figures on data that no training saw.

    Attributes:
        accuracy: of the classifier, 0..1.
        usual, odd: mean square error of the autoencoder: 99 of 100 usual windows are below the first, 99 of
            100 odd ones above the second; in squares of ``SCALE``.
    """

    classifier: bytes
    autoencoder: bytes
    accuracy: float
    usual: float
    odd: float


def made(count: int, label: int, random: np.random.Generator) -> np.ndarray:
    """Return windows of one class as the models get them, ``[count, STEPS, CHANNELS]``."""
    times = np.arange(STEPS)[None, :, None] * STEP_S
    frequency = random.uniform(5, 8, (count, 1, 1))
    phase = random.uniform(0, 2 * np.pi, (count, 1, CHANNELS))
    amplitude = AXES[label] * random.uniform(0.5, 1.5, (count, 1, CHANNELS))
    noise = random.normal(0, 0.03, (count, STEPS, CHANNELS))
    return (amplitude * np.sin(2 * np.pi * frequency * times + phase) + noise) / SCALE


def dataset(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return shuffled windows, flat, and their classes."""
    windows = np.concatenate([made(count, label, random) for label in range(len(LABELS))])
    labels = np.repeat(np.arange(len(LABELS)), count)
    order = random.permutation(len(labels))
    return windows[order].reshape(len(labels), -1), labels[order]


def train(windows: np.ndarray, labels: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Return weights and biases of two layers, by Adam on the cross entropy."""
    sizes = (windows.shape[1], HIDDEN, len(LABELS))
    parts = []
    for before, after in itertools.pairwise(sizes):
        parts += [random.normal(0, np.sqrt(2 / before), (after, before)), np.zeros(after)]
    moments = [[np.zeros_like(part), np.zeros_like(part)] for part in parts]
    for step in range(1, 1501):
        batch = random.integers(0, len(windows), 128)
        for number, slope in enumerate(slopes(parts, windows[batch], labels[batch])):
            moment = moments[number]
            moment[0] = 0.9 * moment[0] + 0.1 * slope
            moment[1] = 0.999 * moment[1] + 0.001 * slope**2
            first, second = moment[0] / (1 - 0.9**step), moment[1] / (1 - 0.999**step)
            parts[number] = parts[number] - 0.003 * first / (np.sqrt(second) + 1e-8)
    return parts


def forward(parts: list[np.ndarray], windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the hidden layer and the logits."""
    hidden = np.maximum(windows @ parts[0].T + parts[1], 0)
    return hidden, hidden @ parts[2].T + parts[3]


def slopes(parts: list[np.ndarray], windows: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Return the gradient of the loss for each of the parts."""
    hidden, logits = forward(parts, windows)
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    wrong = scores / scores.sum(axis=1, keepdims=True)
    wrong[np.arange(len(labels)), labels] -= 1
    wrong /= len(labels)
    back = (wrong @ parts[2]) * (hidden > 0)
    return [back.T @ windows, back.sum(axis=0), wrong.T @ hidden, wrong.sum(axis=0)]


def kind_of(values: np.ndarray) -> Kind:
    """Return the int8 type that holds these values."""
    low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
    scale = (high - low) / 255
    return Kind("int8", scale, round(-128 - low / scale))


def classifier(parts: list[np.ndarray], windows: np.ndarray) -> bytes:
    """Return the classifier, quantised over these windows."""
    hidden, logits = forward(parts, windows)
    layers = [
        Layer(parts[0], parts[1], kind_of(hidden), relu=True),
        Layer(parts[2], parts[3], kind_of(logits)),
    ]
    softmax = Kind("int8", 1 / 256, -128)
    return stack((1, STEPS, CHANNELS), kind_of(windows), layers, softmax=softmax)


def autoencoder(windows: np.ndarray) -> bytes:
    """Return the autoencoder of usual windows.

    The best linear one is known: the principal components, axis by axis, so that the phases are free.
    """
    axis = windows.reshape(-1, STEPS, CHANNELS).transpose(0, 2, 1).reshape(-1, STEPS)
    _, _, components = np.linalg.svd(axis, full_matrices=False)
    each = PARTS // CHANNELS
    matrix = np.zeros((CHANNELS, each, STEPS, CHANNELS))
    for channel in range(CHANNELS):
        matrix[channel, :, :, channel] = components[:each]
    matrix = matrix.reshape(PARTS, STEPS * CHANNELS)
    layers = [
        Layer(matrix, np.zeros(PARTS), kind_of(windows @ matrix.T)),
        Layer(matrix.T, np.zeros(STEPS * CHANNELS), kind_of(windows)),
    ]
    return stack((1, STEPS, CHANNELS), kind_of(windows), layers)


def build(seed: int = 1) -> Built:
    """Train both, and measure what was written on windows of its own."""
    random = np.random.default_rng(seed)
    windows, labels = dataset(1200, random)
    parts = train(windows, labels, random)
    first, second = classifier(parts, windows), autoencoder(windows[labels == 1])
    held, held_labels = dataset(400, random)
    right = run(first, held).argmax(axis=1) == held_labels
    squeaking = squeaks(400, random)
    usual, odd = (
        ((run(second, each) - each) ** 2).mean(axis=1) for each in (held[held_labels == 1], squeaking)
    )
    return Built(
        first, second, float(right.mean()), float(np.quantile(usual, 0.99)), float(np.quantile(odd, 0.01))
    )


def run(file: bytes, windows: np.ndarray) -> np.ndarray:
    """Return what a model makes of windows, as a runtime computes it."""
    interpreter = open_interpreter(file)
    given, answer = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    tensor = Tensor("window", tuple(given["shape"]), "int8", *given["quantization"])
    preparer = WindowPreparer(WindowInput(STEPS, CHANNELS, tensor))
    answers = []
    for window in windows:
        values = window.reshape(STEPS, CHANNELS)
        interpreter.set_tensor(given["index"], preparer.prepare(Window(values, 0.0)))
        interpreter.invoke()
        scale, zero_point = answer["quantization"]
        answers.append((interpreter.get_tensor(answer["index"]).reshape(-1) - float(zero_point)) * scale)
    return np.array(answers)


def squeaks(count: int, random: np.random.Generator) -> np.ndarray:
    """Return windows of a machine that runs, with a bearing that is heard at 14 to 20 Hz; flat."""
    times = np.arange(STEPS)[None, :, None] * STEP_S
    frequency = random.uniform(14, 20, (count, 1, 1))
    phase = random.uniform(0, 2 * np.pi, (count, 1, CHANNELS))
    bearing = 0.25 * np.sin(2 * np.pi * frequency * times + phase) / SCALE
    return (made(count, 1, random) + bearing).reshape(count, -1)


def write(folder: Path, seed: int = 1) -> Built:
    """Build both and write them into a folder."""
    built = build(seed)
    (folder / "vibration.tflite").write_bytes(built.classifier)
    (folder / "vibration.txt").write_text("\n".join(LABELS) + "\n", "utf-8")
    (folder / "vibration-autoencoder.tflite").write_bytes(built.autoencoder)
    return built


if __name__ == "__main__":
    done = write(Path(sys.argv[1]))
    print(
        f"vibration.tflite: {len(done.classifier)} bytes, {100 * done.accuracy:.1f} % right of 1200 windows "
        "that it never saw"
    )
    print(
        f"vibration-autoencoder.tflite: {len(done.autoencoder)} bytes, error of usual windows below "
        f"{done.usual:.4f} (99 %), of a bearing that squeaks above {done.odd:.4f} (99 %)"
    )
