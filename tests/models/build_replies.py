"""Builds the bundled model of replies from the sentences in ``replies``, and measures it. No TensorFlow.

    python tests/models/build_replies.py -o edged/models/replies.tflite

``sentences.txt`` and ``patterns.txt`` have the messages that each reply answers; a pattern stands for all
sentences that its braces allow, of which some are drawn. ``held_out.txt`` was written first and is used for
nothing but the figures that this prints: a message that is also in it is not trained with. ``unlike.txt`` was
written last, with wording as unlike the training's as its author could think of.

The model is a logistic regression on hashed n-grams, written as a graph of three steps, all in int8::

    ids int32[1,96] ─GATHER─▶ [1,96,16] ─MEAN─▶ [1,16] ─SOFTMAX─▶ a score for each reply
                      table[16384,16]

Row 0 is for what fills up, and is 0. The softmax's beta takes the mean back to the sum. A gram that no
sentence had has the row 0 too, so a text of unknown words gets the same small score for every reply.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import re
import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edged.inference.text_ids import hashed
from edged.models.text_ids import HASHED, HASHING_FILE
from edged.models.tflite import writer
from edged.models.tflite.writer import Node, Vector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent / "replies"
OTHERS = "unknown"  # the heading of sentences that no reply answers
PATTERN_FILE = "patterns.txt"
BUCKETS, LENGTH = 16384, 96
DRAWN = 25  # sentences of a pattern
# Chosen by cross-validation on sentences.txt. A pattern weighs as much as this many sentences.
RIDGE, PATTERN = 0.3, 8.0
STEPS = 400
TIME = (1980, 1, 1, 0, 0, 0)
INT32, INT8 = 2, 9  # types of tensors
GATHER, MEAN, SOFTMAX = (36, 23), (40, 27), (25, 9)  # operators, and the types of their options


@dataclass(frozen=True)
class Trained:
    """A model in floats.

    Attributes:
        replies: its labels.
        table: ``[BUCKETS, replies]``; the sum of a text's rows are its logits.
    """

    replies: tuple[str, ...]
    table: NDArray[np.float32]

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return ``[texts, replies]``."""
        return _softmax(np.stack([self.table[_ids(text)].sum(axis=0) for text in texts]))


def sentences(path: Path) -> dict[str, list[str]]:
    """Return the lines below each heading of a file."""
    found: dict[str, list[str]] = {}
    for line in filter(None, map(str.strip, path.read_text("utf-8").splitlines())):
        if line.startswith("# "):
            below = found.setdefault(line[2:], [])
        else:
            below.append(line)
    return found


def drawn(pattern: str, random: np.random.Generator) -> list[str]:
    """Return sentences that a pattern stands for: all, or as many as are drawn."""
    parts = re.split(r"\{([^}]*)\}", pattern)
    choices = [part.split("|") if at % 2 else [part] for at, part in enumerate(parts)]
    if np.prod([len(choice) for choice in choices]) <= DRAWN:
        picked: Iterable[Sequence[str]] = itertools.product(*choices)
    else:
        most = max(DRAWN, *map(len, choices))
        picked = ([str(random.choice(choice)) for choice in choices] for _ in range(most))
    return list(dict.fromkeys(" ".join("".join(words).split()).replace(" ,", ",") for words in picked))


def train() -> Trained:
    """Return the model in floats: the same one each time."""
    held_out = {_plain(text) for lines in sentences(HERE / "held_out.txt").values() for text in lines}
    random = np.random.default_rng(14)
    single, patterns = sentences(HERE / "sentences.txt"), sentences(HERE / PATTERN_FILE)
    replies = tuple(reply for reply in single if reply != OTHERS)
    texts: list[str] = []
    rows: list[tuple[NDArray[np.float32], float]] = []
    for heading in (*replies, OTHERS):
        wanted = np.array([float(reply == heading) for reply in replies], np.float32)
        wanted = wanted if heading != OTHERS else np.full(len(replies), 1 / len(replies), np.float32)
        groups = [([line], 1.0) for line in single[heading]]
        groups += [(drawn(line, random), PATTERN) for line in patterns[heading]]
        for group, weight in groups:
            used = [text for text in group if _plain(text) not in held_out]
            texts += used
            rows += [(wanted, weight / len(group))] * len(used)
    targets = np.stack([wanted for wanted, _ in rows])
    weights = np.array([weight for _, weight in rows], np.float32)
    return Trained(replies, _fit(_bags(texts), targets, weights))


def _fit(bags: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float32]) -> NDArray:
    """Fit a logistic regression in the dual, by accelerated gradients, and return its weights."""
    kernel = bags @ bags.T
    rate, each = 1 / (_largest(kernel, weights) / 2 + RIDGE), weights[:, None]
    now = ahead = np.zeros_like(targets)
    momentum = 1.0
    for _ in range(STEPS):
        slope = each * (_softmax(kernel @ ahead) - targets) + RIDGE * ahead
        following, faster = ahead - rate * slope, (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = following + (momentum - 1) / faster * (following - now)
        now, momentum = following, faster
    return np.asarray(bags.T @ now, np.float32)


def _largest(kernel: NDArray[np.float32], weights: NDArray[np.float32]) -> float:
    """Return the largest eigenvalue of a weighted kernel."""
    direction, size = np.ones(len(kernel), np.float32), 1.0
    for _ in range(30):
        direction = kernel @ (direction * weights)
        size = float(np.linalg.norm(direction))
        direction /= size
    return size


def _bags(texts: Sequence[str]) -> NDArray[np.float32]:
    bags = np.zeros((len(texts), BUCKETS), np.float32)
    for row, text in enumerate(texts):
        np.add.at(bags[row], _ids(text), 1.0)
    return bags


def _ids(text: str) -> list[int]:
    return list(itertools.islice(hashed(text, BUCKETS), LENGTH))


def _softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold().replace("'", "")))


def written(trained: Trained, most: float) -> bytes:
    """Return the .tflite file.

    Args:
        trained: the model.
        most: the largest logit of any text, by which the mean is scaled.
    """
    width = len(trained.replies)
    scale = float(np.abs(trained.table).max() / 127)
    table = np.round(trained.table / scale).astype(np.int8)
    mean_scale, axis = most / LENGTH / 127, np.array([1], np.int32).tobytes()
    tensors = [
        _tensor("ids", (1, LENGTH), INT32, 0),
        _tensor("table", (BUCKETS, width), INT8, 1, (scale, 0)),
        _tensor("rows", (1, LENGTH, width), INT8, 0, (scale, 0)),
        _tensor("axis", (1,), INT32, 2),
        _tensor("mean", (1, width), INT8, 0, (mean_scale, 0)),
        _tensor("scores", (1, width), INT8, 0, (1 / 256, -128)),
    ]
    operators = [
        _operator(0, [1, 0], 2, GATHER, {0: ("i", 0)}),
        _operator(1, [2, 3], 4, MEAN, {0: ("b", 0)}),
        _operator(2, [4], 5, SOFTMAX, {0: ("f", float(LENGTH))}),
    ]
    graph = writer.table(
        {}, {0: tensors, 1: Vector.of([0]), 2: Vector.of([5]), 3: operators, 4: _text("replies")}
    )
    codes = [
        writer.table({0: ("b", code), 2: ("i", 2), 3: ("i", code)}, {}) for code, _ in (GATHER, MEAN, SOFTMAX)
    ]
    buffers = [
        Node((), bytearray(), 0),  # of what is computed
        *(writer.table({}, {0: Vector(data, alignment=16)}) for data in (table.tobytes(), axis)),
    ]
    model = writer.table({0: ("I", 3)}, {1: codes, 2: [graph], 3: _text("replies of edged"), 4: buffers})
    return writer.write(model, b"TFL3", most=1 << 20) + _archive(trained.replies)


def _tensor(
    name: str, shape: Sequence[int], kind: int, buffer: int, scaled: tuple[float, int] | None = None
) -> Node:
    node = writer.table({1: ("b", kind), 2: ("I", buffer)}, {0: Vector.of(shape), 3: _text(name)})
    if scaled is not None:
        scale, zero = scaled
        values = {2: Vector(struct.pack("<f", scale), 4), 3: Vector(struct.pack("<q", zero), 8, 8)}
        node.add(4, writer.table({}, dict(values)))
    return node


def _operator(
    code: int,
    inputs: Sequence[int],
    output: int,
    kind: tuple[int, int],
    options: Mapping[int, tuple[str, float]],
) -> Node:
    chosen = writer.table(dict(options), {})
    return writer.table(
        {0: ("I", code), 3: ("B", kind[1])}, {1: Vector.of(inputs), 2: Vector.of([output]), 4: chosen}
    )


def _text(text: str) -> Vector:
    return Vector(text.encode(), ends=b"\0")


def _archive(replies: Sequence[str]) -> bytes:
    """Return what is appended: the labels, and how words become numbers."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(zipfile.ZipInfo("labels.txt", TIME), "\n".join(replies) + "\n")
        how = json.dumps({"ids": HASHED, "buckets": BUCKETS})
        archive.writestr(zipfile.ZipInfo(HASHING_FILE, TIME), how + "\n")
    return file.getvalue()


def main() -> None:
    """Build the model, write it, and print what it does with the sentences that were held out."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", dest="output", type=Path, required=True, help="the .tflite file to write")
    output = parser.parse_args().output
    trained = train()
    every = [line for lines in sentences(HERE / "sentences.txt").values() for line in lines]
    logits = np.stack([trained.table[_ids(text)].sum(axis=0) for text in every])
    content = written(trained, float(np.abs(logits).max()))
    output.write_bytes(content)
    held_out = sentences(HERE / "held_out.txt")
    texts = [line for reply in trained.replies for line in held_out[reply]]
    right = np.repeat(np.arange(len(trained.replies)), [len(held_out[r]) for r in trained.replies])
    scores = trained.scores(texts)
    own = scores[np.arange(len(right)), right][:, None]
    places = (scores > own).sum(axis=1)
    strangers = trained.scores(held_out[OTHERS]).max(axis=1)
    print(f"{output}: {len(content)} bytes, {len(trained.replies)} replies; in floats, held out:")
    print(f"top 1 {np.mean(places == 0):.3f}, top 3 {np.mean(places < 3):.3f} of {len(texts)}")
    print(f"kept {np.mean(scores.max(axis=1) >= 0.5):.3f}, others unknown {np.mean(strangers < 0.5):.3f}")


if __name__ == "__main__":
    main()
