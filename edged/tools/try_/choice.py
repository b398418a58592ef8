"""The pipeline that the options of ``edged try`` describe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from edged import sources
from edged.config.root import PipelineSection
from edged.errors import Refused
from edged.models import bundled
from edged.sources import discovery
from edged.sources.photograph_names import SUFFIXES

PAUSE_S = 0.5  # between two photographs, so that a person can look at each
# Generous, because the board may be slow or an emulator, and the user can press Ctrl-C.
_DEADLINES = {"open_s": 60, "capture_s": 15, "invoke_s": 60}


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    Attributes:
        source: path, /dev/videoN, URL, ``camera``, ``photos`` or ``synthetic``; None: a camera, else photos.
        model: the .tflite file; None: the bundled classifier.
        labels: the label file; None: the labels packed in the model.
        count: stop after this many inferences; None: when the source ends.
        broker: HOST[:PORT] of a broker to publish to.
        runtime: auto | litert | tflite-runtime.
        live: the output is a terminal that a person watches.
    """

    source: str | None = None
    model: Path | None = None
    labels: Path | None = None
    count: int | None = None
    broker: str | None = None
    runtime: str = "auto"
    live: bool = False


def pipeline(options: Options, found: discovery.Machine | None = None) -> tuple[PipelineSection, str]:
    """Return the pipeline and a description of its source.

    Args:
        options: the options of the command line.
        found: the hardware of the machine; None: of this one.

    Raises:
        Refused: a file does not exist, or there is no camera.
    """
    source, description = _source(options, found)
    model: dict[str, Any] = {"runtime": options.runtime}
    for key, path in (("file", options.model), ("labels", options.labels)):
        if path is not None:
            model[key] = _file(path, key)
    if "labels" in model and "file" not in model:
        raise Refused("--labels needs a model: write --model too", os.EX_USAGE)
    try:
        section = {"source": source, "model": model, "deadlines": _DEADLINES}
        return PipelineSection.model_validate(section), description
    except ValidationError as error:
        raise Refused(f"{description}: {error.errors()[0]['msg']}", os.EX_USAGE) from None


def _file(path: Path, key: str) -> Path:
    if not os.path.lexists(path):
        option = "--model" if key == "file" else "--labels"
        raise Refused(f"{option} {path}: there is no such file", os.EX_NOINPUT)
    return path.absolute()


def _source(options: Options, found: discovery.Machine | None) -> tuple[dict[str, Any], str]:
    text = options.source
    if text == "photos" or (text is None and _camera(found) is None):
        return _photographs(bundled.PHOTOS, options, repeat=options.live)
    if text is None or text == "camera":
        camera = _camera(found)
        if camera is None:
            raise Refused("no camera was found: no capture device at /dev/video* or on the CSI connector")
        return camera
    if text == "synthetic":
        fps = {"fps": 30} if options.live else {}
        return {"kind": "synthetic", "interval_s": 0, **fps}, "a synthetic pattern"
    if "://" in text:
        return {"kind": "video", "url": text, "interval_s": 0}, sources.load("video").shown(text)
    return _path(Path(text), options)


def _camera(found: discovery.Machine | None) -> tuple[dict[str, Any], str] | None:
    found = found if found is not None else discovery.survey()
    if found.pi_camera:
        return {"kind": "picamera2", "interval_s": 0}, "the camera on the CSI connector"
    if found.cameras:
        device, name = found.cameras[0]
        return {"kind": "v4l2", "device": device, "interval_s": 0}, name or device
    return None


def _photographs(path: Path, options: Options, *, repeat: bool = False) -> tuple[dict[str, Any], str]:
    description = "the bundled photographs" if path == bundled.PHOTOS else str(path)
    source = {
        "kind": "folder",
        "path": path.absolute(),
        "loop": repeat or options.count is not None,
        "interval_s": PAUSE_S if options.live else 0,
    }
    return source, description


def _path(path: Path, options: Options) -> tuple[dict[str, Any], str]:
    try:
        if path.is_dir() or (path.is_file() and path.suffix.lower() in SUFFIXES):
            return _photographs(path, options)
        if path.is_file():
            loop, live = options.count is not None, options.live
            video = {"kind": "video", "url": str(path.absolute()), "interval_s": 0, "loop": loop}
            return {**video, "realtime": live}, str(path)
        missing = not path.exists()
        if path.is_char_device():
            return {"kind": "v4l2", "device": str(path), "interval_s": 0}, str(path)
    except OSError as error:
        raise Refused(f"{path}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    what = "there is no such file, folder or device" if missing else "it is not a file, folder or camera"
    raise Refused(f"{path}: {what}", os.EX_NOINPUT)
