"""Quantises a float .tflite file, such as one that another framework made.

2026-11: TensorFlow's converter does this in two steps, which are used here one after the other: it calibrates
a float model, then quantises it. ai-edge-quantizer, which does the same, needs a LiteRT that edged does not
take on Python 3.11, and states that older runtimes run its files, some of which they compute wrongly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edged.errors import ModelError
from edged.inference import model as models
from edged.models import image_classifier
from edged.models.loaded_model import LoadedModel
from edged.models.tflite import file as tflite_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edged.models.normalization import InputValues


class FloatModel:
    """A source that is a .tflite file.

    Args:
        path: the file.

    Raises:
        ModelError: it is not one, or it is quantised.
    """

    def __init__(self, path: Path) -> None:
        file = tflite_file.read(path)
        spec = image_classifier.spec(file)
        given, answer = file.inputs[0], file.outputs[0]
        if not (given.dtype == answer.dtype == "float32"):
            raise ModelError(f"{path}: it is quantised already ({given.dtype}): start from its float32 twin")
        self._content = bytes(file.content)
        self._model = models.open_model(LoadedModel(file, spec, ()), threads=1)
        self.told: dict[str, Any] = {
            "input": given.name,
            "output": answer.name,
            "shape": given.shape,
            "guessed": False,
            "trained_quantised": False,
            "tensorflow": None,
        }

    def plain(self) -> bytes:
        """Return it as it is."""
        return self._content

    def scores(self, tensor: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return its scores for an input."""
        (answer, *_) = self._model.invoke(tensor)
        return np.asarray(answer, np.float64).ravel()

    def core_ml(
        self, _values: InputValues, _labels: Sequence[str], *, half: bool
    ) -> tuple[bytes, dict[str, Any]]:
        """Refuse it: coremltools reads what TensorFlow saved."""
        del half
        raise ModelError("a Core ML package is made of what TensorFlow saved, and not of a .tflite file")

    def layers(self, _examples: Callable[[], Iterator[Any]]) -> list[tuple[str, float]]:
        """Refuse it: TensorFlow measures layers only while it converts what it saved itself."""
        raise ModelError("--layers: the error of layers can be measured for what TensorFlow saved only")

    def quantised(self, mode: str, examples: Callable[[], Iterator[Any]], _values: InputValues) -> bytes:
        """Return it with whole numbers throughout."""
        import tensorflow as tf
        from tensorflow.lite.python import convert
        from tensorflow.lite.python.optimize import calibrator

        self.told["tensorflow"] = tf.__version__
        kind = tf.as_dtype(mode)
        calibrated = calibrator.Calibrator(self._content).calibrate(examples)
        return bytes(convert.mlir_quantize(calibrated, input_data_type=kind, output_data_type=kind))
