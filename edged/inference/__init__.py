"""Inference: from a sample to the raw outputs of a model, and from these to findings.

::

    models.loaded_model.load ─▶ model.open_model ─────▶ Model.invoke ─▶ outputs ─▶ decoding (for a Task)
    (file, labels, spec:        (runtime: the only door  ▲
     no numpy)                  to the TFLite runtimes)  │
    Frame ─▶ preprocess.Preparer.prepare ────────────────┘
"""
