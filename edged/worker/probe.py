"""Answers the questions of ``edged doctor`` that may crash or hang the process that answers them.

::

    doctor ──["driver", "sensor", "gpio"]──▶ python -m edged.worker.probe ──one line of JSON──▶ doctor

Like every process that may hold a camera or a runtime, it gives up the network first, and it dies with its
caller: otherwise a call that hangs would hang for ever.
"""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from edged import sensors, sources
from edged.config import needs
from edged.config.sensor import SENSORS
from edged.errors import DriverError, ModelError, Unavailable
from edged.models import bundled
from edged.sources import discovery
from edged.system import sandbox
from edged.system.child import serve
from edged.system.needs import EVERYTHING, Needs
from edged.worker import sensor_trial

if TYPE_CHECKING:
    from collections.abc import Callable

    from edged.sensors import SensorConfig
    from edged.system.child import Tell

Answer = dict[str, Any]


def runtime(name: str) -> Answer:
    """Import a TFLite runtime and open the bundled model with it."""
    from edged.inference.runtime import open_interpreter, preload
    from edged.models import runtimes

    open_interpreter(bundled.MODEL.read_bytes(), runtime=preload(name))
    return {"version": runtimes.available()[name]}


def pictures() -> Answer:
    """Import the packages that decode and hold pictures."""
    import cv2
    import numpy as np

    return {"numpy": np.__version__, "opencv": cv2.__version__}


def cameras(root: str) -> Answer:
    """Find cameras in sysfs; name the kinds of which only the vendor's package knows more."""
    found = discovery.survey(Path(root)).cameras
    kinds = {str(camera.keys["kind"]) for camera in found}
    return {"cameras": list(map(asdict, found)), "identify": list(filter(discovery.needs_identifying, kinds))}


def identify(kind: str) -> Answer:
    """Return the cameras that the vendor's package knows."""
    return {"cameras": list(map(asdict, discovery.identify(kind)))}


def library(path: str) -> Answer:
    """Load an Edge TPU runtime; opens no device."""
    from edged.inference import edgetpu

    edgetpu.look_for(path)
    return {}


def driver(kind: str, name: str) -> Answer:
    """Import what a driver needs; ``kind`` is ``source`` or ``sensor``."""
    loaded = (sources if kind == "source" else sensors).load(name)
    library_of = getattr(loaded, "library", None)
    if library_of is not None:
        library_of()
    return {}


def readings(configs: str) -> Answer:
    """Open and read sensors once; ``configs`` is a JSON object of their keys, by name."""
    return sensor_trial.read_once(_sensors(configs))


def _sensors(configs: str) -> dict[str, SensorConfig]:
    return {name: SENSORS.read(keys) for name, keys in json.loads(configs).items()}


_QUESTIONS: dict[str, Callable[..., Answer]] = {
    question.__name__: question
    for question in (runtime, pictures, cameras, identify, library, driver, readings)
}


def _needs(question: str, *arguments: str) -> Needs:
    """Return what answering a question takes."""
    if question == "library":
        return Needs(files=arguments)
    if question == "cameras":
        return Needs(files=tuple(root for root in arguments if root != "/"), devices=("/dev/video*",))
    if question == "identify":
        camera = sources.load(*arguments)
        return cast("Needs", camera.needs(camera.Config())) if hasattr(camera, "needs") else EVERYTHING
    if question == "readings":
        return needs.of_sensors(_sensors(*arguments).values())
    return Needs()


def respond(data: bytes, tell: Tell) -> None:
    """Give up the network, then answer one question; a problem is an answer, too.

    Args:
        data: the question and its arguments, as a JSON list.
        tell: takes the answer.
    """
    question, *arguments = json.loads(data)
    sandbox.confine(_needs(question, *arguments))
    try:
        answer = _QUESTIONS[question](*arguments)
    except (DriverError, ModelError, Unavailable) as error:
        answer = {"problem": str(error)}
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        answer = {"problem": f"{question} cannot be loaded ({error})"}
    tell(answer)


if __name__ == "__main__":
    serve(respond)
