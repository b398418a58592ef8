"""Converts what TensorFlow saved, by its converter."""

from __future__ import annotations

import csv
import io
import itertools
import tempfile
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from edged.errors import ModelError
from edged.ipc.convert_request import WHOLE
from edged.worker import tensorflow_graphs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from edged.ipc.convert_request import ConvertRequest
    from edged.models.normalization import InputValues


_MEASURED = 20  # photographs that the error of each layer is measured on


class SavedGraph:
    """A source that TensorFlow reads.

    Args:
        request: names it.

    Raises:
        ModelError: it cannot be read.
    """

    def __init__(self, request: ConvertRequest) -> None:
        self._old = request.old_runtimes
        self._graph = tensorflow_graphs.read(request)
        self._function = self._graph.function()
        self.told: dict[str, Any] = {
            "input": self._graph.input.removesuffix(":0"),
            "output": self._graph.output.removesuffix(":0"),
            "shape": self._graph.shape,
            "guessed": self._graph.guessed,
            "trained_quantised": self._graph.trained_quantised,
            "tensorflow": tf.__version__,
        }

    def plain(self) -> bytes:
        """Return it as a float .tflite file."""
        return bytes(self._converter().convert())

    def scores(self, tensor: NDArray[np.generic]) -> NDArray[np.float64]:
        """Return its scores for an input."""
        return tensorflow_graphs.row(self._function(tf.constant(tensor)))

    def quantised(self, mode: str, examples: Callable[[], Iterator[Any]], values: InputValues) -> bytes:
        """Return it as a .tflite file in another mode."""
        if self._graph.trained_quantised and mode in WHOLE:
            return self._by_its_own_ranges(mode, values)
        converter = self._converter()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if mode == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if mode == "dynamic" and self._old:
            # With scales per channel, FULLY_CONNECTED is of version 12, which tflite-runtime 2.14 lacks.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True  # noqa: SLF001 - no other switch
        if mode in WHOLE:
            converter.representative_dataset = examples
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.as_dtype(mode)
        return bytes(converter.convert())

    def core_ml(
        self, values: InputValues, labels: Sequence[str], *, half: bool
    ) -> tuple[bytes, dict[str, Any]]:
        """Return it as a Core ML package in a zip archive, and what was compared with the source."""
        from edged.worker import core_ml

        return core_ml.package(self._graph, self.plain(), values, labels, half=half)

    def layers(self, examples: Callable[[], Iterator[Any]]) -> list[tuple[str, float]]:
        """Return layers with their error by quantisation, in steps of their scales, the worst first."""
        if self._graph.trained_quantised:
            raise ModelError("--layers: it was trained with quantisation, so its layers know it")
        converter = self._converter()
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=lambda: itertools.islice(examples(), _MEASURED)
        )
        debugger.run()
        table = io.StringIO()
        debugger.layer_statistics_dump(table)
        table.seek(0)
        found = []
        for line in csv.DictReader(table):
            error = float(line["mean_squared_error"]) ** 0.5
            # Rounding alone gives 0.29.
            found.append((f"{line['op_name']} {line['tensor_name']}", round(error / float(line["scale"]), 2)))
        return sorted(found, key=lambda layer: layer[1], reverse=True)

    def _converter(self) -> Any:
        return tf.lite.TFLiteConverter.from_concrete_functions([self._graph.function()])

    def _by_its_own_ranges(self, mode: str, values: InputValues) -> bytes:
        """Convert a graph that was trained with quantisation: it has all ranges but that of its input."""
        if mode != "uint8":
            raise ModelError("it was trained with quantisation, for unsigned numbers: write --quantize uint8")
        (mean, *means), (deviation, *deviations) = values.mean, values.std
        if {mean, deviation} != {mean, deviation, *means, *deviations}:
            raise ModelError(
                "its input is quantised with one mean and one deviation: write --normalize MEAN,STD"
            )
        source, result = (name.partition(":")[0] for name in (self._graph.input, self._graph.output))
        with tempfile.NamedTemporaryFile(suffix=".pb") as file:
            file.write(self._graph.definition.SerializeToString())
            file.flush()
            converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
                file.name, [source], [result], {source: list(self._graph.shape)}
            )
        converter.inference_type = tf.as_dtype(mode)
        converter.quantized_input_stats = {source: (mean, deviation)}
        return bytes(converter.convert())
