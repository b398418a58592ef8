"""Model files: .tflite, labels, runtimes. Needs no numpy, so main may read a model without running it."""
