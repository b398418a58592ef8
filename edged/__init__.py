"""edged: a camera or a sensor and a .tflite file become small, trustworthy MQTT messages."""

__version__ = "0.1.0"
