"""From the words of the command line to a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edged import sources
from edged.config.root import PipelineSection
from edged.errors import Refused
from edged.models import bundled
from edged.sources import discovery
from edged.sources.photograph_names import SUFFIXES

if TYPE_CHECKING:
    from edged.tools.try_.options import Options

PAUSE_S = 0.5  # between two pictures that a person looks at


# A person waits, and perhaps on a slow board or an emulator: no worker has to be replaced in seconds here.
_PATIENT = {"open_s": 60, "capture_s": 15, "invoke_s": 60}


def pipeline(options: Options, found: discovery.Machine | None = None) -> tuple[PipelineSection, str]:
    """Return the pipeline, and its source in words.

    Raises:
        Refused: there is no such file, or no camera.
    """
    source, words = _source(options, found)
    model: dict[str, Any] = {"runtime": options.runtime}
    for key, path in (("file", options.model), ("labels", options.labels)):
        if path is not None:
            model[key] = _file(path, key)
    if "labels" in model and "file" not in model:
        raise Refused("--labels are those of a model: write --model too", os.EX_USAGE)
    try:
        section = {"source": source, "model": model, "deadlines": _PATIENT}
        return PipelineSection.model_validate(section), words
    except ValidationError as error:
        raise Refused(f"{words}: {error.errors()[0]['msg']}", os.EX_USAGE) from None


def _file(path: Path, what: str) -> Path:
    if not os.path.lexists(path):
        words = "the model" if what == "file" else "the labels"
        raise Refused(f"there is no {path} ({words})", os.EX_NOINPUT)
    return path.absolute()


def _source(options: Options, found: discovery.Machine | None) -> tuple[dict[str, Any], str]:
    text = options.source
    if text == "photos" or (text is None and _camera(found) is None):
        return _photographs(bundled.PHOTOS, options, again=options.live)
    if text is None or text == "camera":
        camera = _camera(found)
        if camera is None:
            raise Refused("no camera was found: no /dev/video* that captures, and none at the CSI connector")
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
        return {"kind": "picamera2", "interval_s": 0}, "the camera at the CSI connector"
    if found.cameras:
        device, name = found.cameras[0]
        return {"kind": "v4l2", "device": device, "interval_s": 0}, name or device
    return None


def _photographs(path: Path, options: Options, *, again: bool = False) -> tuple[dict[str, Any], str]:
    words = "the bundled photographs" if path == bundled.PHOTOS else str(path)
    source = {
        "kind": "folder",
        "path": path.absolute(),
        "loop": again or options.count is not None,
        "interval_s": PAUSE_S if options.live else 0,
    }
    return source, words


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
    what = "there is no such file, folder or device" if missing else "this is no file or folder"
    raise Refused(f"{path}: {what}", os.EX_NOINPUT)
