"""The bundled models and photographs: their paths, and the answer to expect."""

from __future__ import annotations

import os
from pathlib import Path

_HERE = Path(__file__).resolve().parent

MODEL = _HERE / "efficientnet_lite0_uint8.tflite"
LABELS = _HERE / "efficientnet_lite0_uint8.txt"
PHOTOS = _HERE.parent / "photos"
SOURCE = {"kind": "folder", "path": str(PHOTOS)}  # what shows them, in a configuration
PHOTO, ANSWER = PHOTOS / "01-cat.jpg", "Egyptian cat"

# This model's scores are low: correct answers score 0.3 to 0.5.
THRESHOLD = 0.25

REPLIES = _HERE / "replies.tflite"  # short replies to messages; its labels are packed in it
NAMES = frozenset({MODEL.stem, REPLIES.stem})  # no installed model has one of them


def named(path: Path) -> Path:
    """Return the bundled model that a command line names in the place of a file; another path as it is."""
    files = {file.stem: file for file in (MODEL, REPLIES)}
    return path if os.path.lexists(path) else files.get(str(path), path)


MODEL_SHA256 = "35e8e20b17f6cfd7414aa9c57678568b9958dabeea5ae8d79490d4025ba1f0d0"
REPLIES_SHA256 = "70cf5f9392cc149dfce29da1bcedc794468cc7e436318bd5d1ac669528cde799"
