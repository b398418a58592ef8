"""The TensorFlow Lite runtimes that are installed, and which of them a model gets. Loads neither."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os

from edged.errors import DriverError

# By name: the module, and the package that brings it. The order is that of ``auto``.
RUNTIMES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}


def available() -> dict[str, str]:
    """Return the runtimes that are installed here, with their versions, best first; imports none of them."""
    found = {}
    for name, (module, package) in RUNTIMES.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            try:
                found[name] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:  # put there by hand
                found[name] = "unknown"
    return found


def choose(runtime: str) -> str:
    """Return the name of the runtime that ``auto``, or a name, means here.

    Raises:
        DriverError: it is not installed, or cannot work with the numpy that is here.
    """
    found = available()
    name = next(iter(found), "litert") if runtime == "auto" else runtime
    if name not in RUNTIMES:
        raise DriverError(f"there is no runtime {name}; there are {', '.join(RUNTIMES)}")
    if name not in found:
        raise DriverError(f"the runtime {name} is not installed: pip install {RUNTIMES[name][1]}")
    numpy = importlib.metadata.version("numpy")
    if name == "tflite-runtime" and int(numpy.partition(".")[0]) >= 2:
        # It imports, and fails on the first interpreter.
        raise DriverError(
            f"tflite-runtime {found[name]} does not work with numpy {numpy}: write runtime: litert, "
            "or pip install 'numpy<2'"
        )
    return name


_MOST_THREADS = 4


def default_threads() -> int:
    """Return as many threads as this process has cores, at most 4: more gains small models nothing."""
    return min(len(os.sched_getaffinity(0)), _MOST_THREADS)
