"""Model files: .tflite, labels, installed runtimes. Needs no numpy: main reads models but never runs them."""
