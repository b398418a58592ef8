"""The pipeline that the options of ``edged try`` describe."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from edged.config import root
from edged.config.root import PipelineSection
from edged.config.source import SOURCES
from edged.errors import ModelError, Refused
from edged.events import MOST_BESIDE
from edged.models import bundled
from edged.models.installed import NAME, Store
from edged.models.taught import head_file
from edged.models.taught.store import HEAD
from edged.models.tflite import file as tflite_file
from edged.sources import Offer, Viewing, discovery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edged.config.outputs import Mqtt
    from edged.models.installed import Installed

# Generous, because the board may be slow or an emulator, and the user can press Ctrl-C.
_DEADLINES = {"open_s": 60, "capture_s": 15, "invoke_s": 60}


@dataclass(frozen=True)
class Options:
    """The options of the command line.

    Attributes:
        source: path, /dev/videoN, URL, ``camera``, ``photos`` or ``synthetic``; None: a camera, else photos.
        model: the .tflite file, the name of an installed model, ``replies``, or the folder of a taught one;
            None: the bundled classifier, or ``replies`` for text.
        labels: the label file; None: the labels packed in the model.
        count: stop after this many inferences; None: when the source ends.
        broker: a broker to publish to.
        model_keys: further keys of ``model`` in a configuration, such as ``normalize``.
        runtime: auto | litert | tflite-runtime.
        live: the output is a terminal that a person watches.
        repeat: files are repeated, also without a count.
    """

    source: str | None = None
    model: Path | None = None
    labels: Path | None = None
    count: int | None = None
    broker: Mqtt | None = None
    model_keys: Mapping[str, Any] = field(default_factory=dict)
    runtime: str = "auto"
    live: bool = False
    repeat: bool = False


def pipeline(options: Options, found: discovery.Machine | None = None) -> tuple[PipelineSection, str]:
    """Return the pipeline and a description of its source.

    Args:
        options: the options of the command line.
        found: the hardware of the machine; None: of this one.

    Raises:
        Refused: a file does not exist, there is no camera, or the model takes something else.
        ModelError: the head of a taught model cannot be used.
    """
    source, description = _source(options, found)
    model: dict[str, Any] = {"runtime": options.runtime, **options.model_keys}
    file, labels = options.model, options.labels
    gives = SOURCES.config(source["kind"]).gives
    reads = gives == "text"
    if file is None and reads:
        file = bundled.REPLIES
    elif file is not None:
        file = bundled.named(file)
    if file is not None and (used := installed(file)) is not None:
        file, labels = used.file, labels or used.labels
    taught = file is not None and _is_taught(file, reads=reads)
    for key, path in (("taught" if taught else "file", file), ("labels", labels)):
        if path is not None:
            model[key] = _file(path, key)
    if "labels" in model and options.model is None:
        raise Refused("--labels needs a model: write --model too", os.EX_USAGE)
    if options.model is None and gives == "window":
        hint = "write --model yamnet (edged models add yamnet), or --model F.tflite"
        raise Refused(f"{description}: edged brings no model of sound: {hint}", os.EX_USAGE)
    try:
        more = {"task": {"kind": "text"}} if reads else _task(model.get("file"))
        section = {"source": source, "model": model, "deadlines": _DEADLINES, **more}
        return PipelineSection.model_validate(section), description
    except ValidationError as error:
        raise Refused(f"{description}: {error.errors()[0]['msg']}", os.EX_USAGE) from None


def _task(file: Path | None) -> dict[str, Any]:
    """Return the task of a model that is not a classifier; a file that cannot be read, the worker reports."""
    with contextlib.suppress(ModelError):
        if file is not None and tflite_file.read(file, edgetpu=None).detection is not None:
            return {"task": {"kind": "detect", "top_k": MOST_BESIDE}, "publish": {"boxes": True}}
    return {}


def installed(path: Path, state_dir: Path | None = None) -> Installed | None:
    """Return the installed model that a command line names in the place of a file; None: it is none.

    Args:
        path: what the command line has.
        state_dir: the state directory; None: the default one.
    """
    if os.path.lexists(path) or not NAME.fullmatch(str(path)):
        return None
    with contextlib.suppress(ModelError):
        return Store(state_dir or root.state_dir()).read(str(path))
    return None


def _is_taught(path: Path, *, reads: bool) -> bool:
    """Return whether this is the folder of a taught model.

    Args:
        path: what may be one.
        reads: the source gives texts, not pictures.

    Raises:
        Refused: it was taught with the other kind.
        ModelError: its head cannot be used.
    """
    if not (path / HEAD).is_file():
        return False
    given = head_file.read(path / HEAD).gives
    if given != ("text" if reads else "picture"):
        hint = "--source FILE.txt has lines for it" if given == "text" else "the source has lines of text"
        raise Refused(f"{path}: it was taught with {given}s; {hint}", os.EX_USAGE)
    return True


def _file(path: Path, key: str) -> Path:
    if not os.path.lexists(path):
        option = "--labels" if key == "labels" else "--model"
        raise Refused(f"{option} {path}: there is no such file", os.EX_NOINPUT)
    return path.absolute()


def _source(options: Options, found: discovery.Machine | None) -> tuple[dict[str, Any], str]:
    text, repeat = options.source, options.repeat or options.count is not None
    if text in (None, "camera"):
        cameras = (found if found is not None else discovery.survey()).cameras
        if cameras:
            return _keys(cameras[0]), cameras[0].name or cameras[0].place
        if text == "camera":
            raise Refused("no camera was found: no capture device at /dev/video* or on the CSI connector")
    if text in (None, "photos"):
        viewing = Viewing(options.live, repeat or options.live)
        return _keys(_recognised(str(bundled.PHOTOS), viewing)), "the bundled photographs"
    offer = _recognised(text, Viewing(options.live, repeat))
    return _keys(offer), offer.name


def _keys(offer: Offer) -> dict[str, Any]:
    """Return a source that gives samples as fast as the model goes, unless it says otherwise."""
    paced = "interval_s" in SOURCES.keys(offer.keys["kind"])
    return {"interval_s": 0, **offer.keys} if paced else dict(offer.keys)


def _recognised(text: str, viewing: Viewing) -> Offer:
    offer = discovery.recognise(text, viewing)
    if offer is not None:
        return offer
    try:
        missing = not Path(text).exists()
    except OSError as error:
        raise Refused(f"{text}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    what = "there is no such file, folder or device" if missing else "it is not a file, folder or camera"
    raise Refused(f"{text}: {what}", os.EX_NOINPUT)
