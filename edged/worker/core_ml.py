"""Makes a Core ML package of a frozen graph, and compares it with the source as far as that can be done here.

Only a Mac can run it. What is compared is its weights: each must hold the numbers of a layer of the float
.tflite file of the same source, which is run and compared itself.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import coremltools
import coremltools.optimize.coreml as weights_of
import numpy as np
import tensorflow as tf

from edged.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from edged.models.normalization import InputValues
    from edged.worker.tensorflow_graphs import FrozenGraph

_LEAST = 16  # numbers of a weight that is compared; smaller ones may be made by the converter
_TOLERANCE = {False: 1e-4, True: 2e-3}  # of the greatest number, in float32 and in float16


def package(
    graph: FrozenGraph, plain: bytes, values: InputValues, labels: Sequence[str], *, half: bool
) -> tuple[bytes, dict[str, Any]]:
    """Return a package, packed as a zip archive, and what was compared.

    Args:
        graph: the source.
        plain: its float .tflite file.
        values: what pixels become; the package does it where one deviation serves all colours.
        labels: the names of its classes; empty: it gives scores without names.
        half: store and compute in float16.

    Raises:
        ModelError: it cannot be converted, or is not what its source is.
    """
    precision = coremltools.precision.FLOAT16 if half else coremltools.precision.FLOAT32
    picture = _picture(graph, values)
    made = coremltools.convert(
        [graph.function()],
        source="tensorflow",
        convert_to="mlprogram",
        inputs=[picture] if picture is not None else None,
        classifier_config=coremltools.ClassifierConfig(list(labels)) if labels else None,
        compute_precision=precision,
    )
    found = _compared(made, plain, half=half)
    return _packed(Path(made.package_path)), found | {
        "takes": "picture" if picture is not None else "numbers"
    }


def _picture(graph: FrozenGraph, values: InputValues) -> Any:
    """Return the input as a picture whose pixels the package scales itself; None where it cannot."""
    deviations = set(values.std)
    if values.origin == "assumed" or values.order != "rgb" or len(deviations) != 1 or graph.shape[-1] != 3:
        return None
    means, deviation = (values.mean * 3)[:3], values.std[0]
    return coremltools.ImageType(
        name="x", shape=graph.shape, scale=1 / deviation, bias=[-mean / deviation for mean in means]
    )


def _compared(made: Any, plain: bytes, *, half: bool) -> dict[str, Any]:
    spec = made.get_spec()
    known = [np.sort(weight.ravel()) for weight in _constants(plain)]
    theirs = weights_of.get_weights_metadata(made, weight_threshold=_LEAST)
    strange = [
        name
        for name, weight in theirs.items()
        if not _is_among(np.asarray(weight.val), known, _TOLERANCE[half])
    ]
    if strange or not theirs:
        raise ModelError(
            f"the package has weights that its source has not: {', '.join(strange[:5]) or 'none'}"
        )
    return {
        "coremltools": coremltools.__version__,
        "inputs": [entry.name for entry in spec.description.input],
        "outputs": [entry.name for entry in spec.description.output],
        "weights": len(theirs),
    }


def _is_among(weight: NDArray[Any], known: Sequence[NDArray[Any]], tolerance: float) -> bool:
    """Return whether a layer has these numbers, in whatever order."""
    ordered = np.sort(weight.astype(np.float64).ravel())
    slack = tolerance * max(1e-6, float(np.abs(ordered).max()))
    return any(len(one) == len(ordered) and float(np.abs(one - ordered).max()) <= slack for one in known)


def _constants(plain: bytes) -> Iterator[NDArray[Any]]:
    interpreter = tf.lite.Interpreter(
        model_content=plain,
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    for tensor in interpreter.get_tensor_details():
        try:
            value = interpreter.get_tensor(tensor["index"])
        except ValueError:  # it has no content yet
            continue
        if value.dtype == np.float32 and value.size >= _LEAST:
            yield value.astype(np.float64)


def _packed(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return file.getvalue()
