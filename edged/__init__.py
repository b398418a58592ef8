"""edged: runs .tflite models on camera frames and sensor readings, and publishes short MQTT messages."""

__version__ = "0.2.0"
