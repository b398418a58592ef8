"""Builds a small model of sound by numpy alone: it tells tones from each other, and from silence.

::

    python tests/models/build_sound.py FOLDER

``tones.tflite``, with its labels inside, takes 0.2 s at 16 kHz. Each tone has two filters, a sine and a
cosine, of both signs: whatever its phase, the sum of what passes is at least its amplitude. Each class has a
probability of its own, as in YAMNet. Same bytes every time.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tflite_builder import Kind, Layer, Packed, build, stack

from edged.models.installed import About, Store, digest

RATE_HZ, STEPS = 16000, 3200
LABELS = ("Silence", "Smoke detector, smoke alarm", "Beep, bleep", "Fire alarm")
TONES_HZ = (3100, 440)
_SHARP = 200.0  # logits for full scale
_FLOOR = 3.0  # the logit of silence, where there is no tone


def model(shape: tuple[int, ...] = (1, STEPS), kind: Kind | None = None, copies: int = 1) -> bytes:
    """Return the model; its classes are :data:`LABELS`."""
    times = np.arange(STEPS) / RATE_HZ
    filters = []
    for tone in TONES_HZ:
        for wave in (np.sin, np.cos):
            part = wave(2 * np.pi * tone * times) * 2 / STEPS
            filters += [part, -part]
    sums = np.zeros((len(LABELS), len(filters)))
    for number in range(len(TONES_HZ)):
        sums[number + 1, 4 * number : 4 * number + 4] = _SHARP
    sums[0] = -_SHARP
    bias = np.array([_FLOOR, -_FLOOR, -_FLOOR, -_SHARP])
    layers = [
        Layer(np.array(filters), np.zeros(len(filters)), kind or Kind(), relu=True),
        Layer(sums, bias, kind or Kind()),
    ]
    packed = Packed(labels="\n".join(LABELS))
    return stack(shape, kind or Kind(), layers, sigmoid=Kind(), copies=copies, packed=packed)


def write(folder: Path, name: str = "tones") -> Path:
    """Write the model; return its path."""
    file = folder / f"{name}.tflite"
    file.write_bytes(model())
    return file


def write_keyword(folder: Path, name: str = "okay_nabu") -> Path:
    """Write a model with a wake word's input and output, and its labels; return the model's path."""
    file = folder / f"{name}.tflite"
    file.write_bytes(build((1, 3, 40), (1, 2), head="sigmoid"))
    file.with_suffix(".txt").write_text("background\nokay nabu\n", "utf-8")
    return file


def install(state_dir: Path, name: str = "yamnet") -> None:
    """Install the model in a state directory, in the place of one of the catalogue."""
    store = Store(state_dir)
    with store.writing(name) as folder:
        file = write(folder, name)
        store.put(folder, name, About(digest(file), "", "catalogue", 0.0, 1.0))


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
