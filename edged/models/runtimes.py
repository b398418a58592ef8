"""The installed TensorFlow Lite runtimes, and the choice between them. Imports none of them."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os

from edged.errors import DriverError

# By name: the module, and the package that contains it. ``auto`` takes the first that is installed.
RUNTIMES = {
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
}
GASKET = "https://github.com/feranick/gasket-driver/releases"  # Google's does not build for Linux 6.12


def available() -> dict[str, str]:
    """Return the installed runtimes with their versions, best first."""
    found = {}
    for name, (module, package) in RUNTIMES.items():
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            try:
                found[name] = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:  # copied there without pip
                found[name] = "unknown"
    return found


def choose(runtime: str) -> str:
    """Return the name of the runtime to use for ``auto`` or for a name.

    Raises:
        DriverError: it is not installed, or does not work with the installed numpy.
    """
    found = available()
    name = next(iter(found), "litert") if runtime == "auto" else runtime
    if name not in RUNTIMES:
        raise DriverError(f"there is no runtime {name}; available: {', '.join(RUNTIMES)}")
    if name not in found:
        raise DriverError(f"the runtime {name} is not installed: pip install {RUNTIMES[name][1]}")
    numpy = importlib.metadata.version("numpy")
    if name == "tflite-runtime" and int(numpy.partition(".")[0]) >= 2:
        # It can be imported, but fails on the first interpreter.
        raise DriverError(
            f"tflite-runtime {found[name]} does not work with numpy {numpy}: write runtime: litert, "
            "or pip install 'numpy<2'"
        )
    return name


_MAX_THREADS = 4


def default_threads(processes: int = 1) -> int:
    """Return the threads for one of the processes that share this machine's cores, from 1 to 4.

    Small models gain nothing from more.
    """
    return max(1, min(_MAX_THREADS, len(os.sched_getaffinity(0)) // max(1, processes)))
