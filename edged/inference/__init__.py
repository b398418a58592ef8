"""Inference: from a frame to the raw output of a model.

::

    classifier.load ─▶ model.open_model ──────────────▶ Model.invoke ─▶ output
    (file, labels,     (runtime: the only door           ▲
     spec: pure)        to LiteRT and tflite-runtime)    │
    Frame ─▶ preprocess.Preparer.prepare ────────────────┘

A model over time is read by :mod:`edged.models.window_model` instead of ``classifier``, and gets windows.
"""
