"""The .tflite format: the flatbuffer, its graph and its metadata."""
