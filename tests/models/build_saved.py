"""Saves one small net in each format that TensorFlow has, for the tests of ``edged convert``.

    python tests/models/build_saved.py FOLDER

Its weights are set by hand: it tells the strongest colour of a picture of 16x16 pixels in -1..1. This needs
TensorFlow.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import tensorflow as tf

KERNEL = np.zeros((3, 3, 3, 4), np.float32)
KERNEL[1, 1] = [[1, 0, 0, 0.1], [0, 1, 0, 0.1], [0, 0, 1, 0.1]]
# The fourth feature is zero, except where pixels are not -1..1: then everything is green.
BIAS = np.array([1.0, 1.0, 1.0, -0.6], np.float32)
HEAD = np.array([[4, -2, -2], [-2, 4, -2], [-2, -2, 4], [-40, 40, -40]], np.float32)


def keras_model() -> tf.keras.Model:
    """Return the net as a model of Keras."""
    model = tf.keras.Sequential(
        [
            tf.keras.Input((16, 16, 3)),
            tf.keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            tf.keras.layers.GlobalAveragePooling2D(),
            tf.keras.layers.Dense(3, activation="softmax"),
        ]
    )
    model.set_weights([KERNEL, BIAS, HEAD, np.zeros(3, np.float32)])
    return model


def save_version_1(folder: Path) -> None:
    """Save the net as TensorFlow 1 would: a MetaGraph with its checkpoint, a graph, and a frozen graph."""
    compat = tf.compat.v1
    with tf.Graph().as_default() as graph, compat.Session() as session:
        picture = compat.placeholder(tf.float32, (None, 16, 16, 3), name="input")
        kernel = compat.get_variable("kernel", initializer=KERNEL, use_resource=False)
        head = compat.get_variable("head", initializer=HEAD, use_resource=False)
        layer = tf.nn.relu(tf.nn.conv2d(picture, kernel, 1, "SAME") + BIAS)
        tf.nn.softmax(tf.reduce_mean(layer, (1, 2)) @ head, name="scores")
        session.run(compat.global_variables_initializer())
        compat.train.Saver().save(session, str(folder / "ckpt" / "model-1"))
        (folder / "ckpt" / "graph.pbtxt").write_text(str(graph.as_graph_def()))
        frozen = compat.graph_util.convert_variables_to_constants(session, graph.as_graph_def(), ["scores"])
        (folder / "frozen.pb").write_bytes(frozen.SerializeToString())
        signature = compat.saved_model.predict_signature_def(
            {"x": picture}, {"y": graph.get_tensor_by_name("scores:0")}
        )
        builder = compat.saved_model.Builder(str(folder / "saved1"))
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature})
        builder.save()


def main(folder: Path) -> None:
    """Save everything."""
    (folder / "ckpt").mkdir(parents=True)
    model = keras_model()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "only.weights.h5")
    model.export(folder / "saved2")
    save_version_1(folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
