"""Prints what a release contains, as JSON; its Python runs this with name, origin and libedgetpu."""

import importlib.metadata
import json
import platform
import sys

NAMES = (
    *("edged", "paho-mqtt", "numpy", "opencv-python-headless", "picamera2"),
    *("ai-edge-litert", "tflite-runtime"),
)
found = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions()}
release, origin, libedgetpu = sys.argv[1:]
print(
    json.dumps(
        {
            "release": release,
            "from": origin,
            "python": platform.python_version(),
            "libedgetpu": libedgetpu,
            "packages": {name: found[name] for name in NAMES if name in found},
        },
        indent=1,
    )
)
