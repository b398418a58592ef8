"""What the catalogue has, what is installed, and what is in a .tflite file."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.errors import ModelError, Refused
from edged.models import bundled, by_input, catalogue, normalization
from edged.models.installed import Store
from edged.models.spec import PictureInput, TextInput
from edged.models.tflite import file as tflite_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.models.catalogue import Entry
    from edged.models.tflite.file import ModelFile


def listing(
    state_dir: Path,
    known: Mapping[str, Entry] | None = None,
    note: Callable[[str], object] = lambda _sentence: None,
) -> list[dict[str, Any]]:
    """Return the models that come with edged, are installed, or are in a catalogue; JSON-ready.

    Args:
        state_dir: the state directory.
        known: the catalogue; None: edged's own.
        note: takes a sentence where this user may not see what is installed.
    """
    store, known = Store(state_dir), catalogue.entries() if known is None else known
    rows = {name: _row(asdict(entry), runs=entry.runs) for name, entry in known.items()}
    listed = _bundled()
    try:
        names = store.names()
    except Refused as refused:
        names = []
        note(f"what is installed is not shown: {refused}")
    for name in names:
        found = store.read(name)
        if found is None:
            continue
        row = rows.pop(name, None) or _row({"name": name, "task": "classify"}, runs=True)
        sha256, size = found.about.sha256, found.file.stat().st_size
        listed[name] = row | {"state": f"version {found.version}", "bytes": size, "sha256": sha256}
    return [*listed.values(), *rows.values()]


def _bundled() -> dict[str, dict[str, Any]]:
    about = "ImageNet without its background class"
    mine = {"name": bundled.MODEL.stem, "task": "classify", "family": "EfficientNet", "about": about}
    pictures = mine | {"bytes": bundled.MODEL.stat().st_size, "sha256": bundled.MODEL_SHA256}
    mine = {"name": bundled.REPLIES.stem, "task": "text", "about": "short replies to messages, English"}
    replies = mine | {"bytes": bundled.REPLIES.stat().st_size, "sha256": bundled.REPLIES_SHA256}
    rows = {bundled.MODEL.stem: pictures, bundled.REPLIES.stem: replies}
    return {name: _row(row | {"state": "bundled"}, runs=True) for name, row in rows.items()}


def _row(data: dict[str, Any], *, runs: bool) -> dict[str, Any]:
    state = "cannot be had" if data.get("unusable") else "" if data.get("sha256") else "unpinned"
    empty = {"family": "", "about": "", "bytes": 0, "top1": None, "licence": "", "input": ""}
    return {**empty, "state": state, **data, "runs": runs}


def describe(what: str, state_dir: Path, known: Mapping[str, Entry] | None = None) -> dict[str, Any]:
    """Return what is known of a file, an installed model, or an entry of the catalogue; JSON-ready.

    Raises:
        Refused: there is no such file or name.
        ModelError: the file is not a model that a runtime runs.
    """
    entry = (catalogue.entries() if known is None else known).get(what)
    if os.path.lexists(what):
        return _of_file(Path(what))
    for file in (bundled.MODEL, bundled.REPLIES):
        if what == file.stem:
            return _of_file(file)
    installed = Store(state_dir).read(what) if "/" not in what else None
    if installed is not None:
        more = asdict(installed.about) | {"version": installed.version}
        return {"name": what} | _of_file(installed.file) | {"installed": more}
    if entry is None:
        raise Refused(f"{what}: no such file, and no such name (edged models list)", os.EX_NOINPUT)
    return asdict(entry)


def _of_file(path: Path) -> dict[str, Any]:
    model = tflite_file.read(path, edgetpu=None)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "sha256": model.sha256,
        "inputs": [f"{tensor.dtype} {tensor.shown}" for tensor in model.inputs],
        "outputs": [f"{tensor.dtype} {tensor.shown}" for tensor in model.outputs],
        "labels": len(model.labels.names) if model.labels else 0,
        "custom_ops": list(model.custom_ops),
        "edgetpu": model.for_edgetpu,
        **_as_classifier(model),
    }


def _as_classifier(model: ModelFile) -> dict[str, Any]:
    """Return what a pipeline would make of it, or why none runs it."""
    try:
        spec = by_input.spec(model)
    except ModelError as error:
        return {"runs": False, "why": str(error).removeprefix(f"{model.path}: ")}
    if isinstance(spec.input, TextInput):
        return {"runs": True, "classes": spec.classes, "gets": f"text, at most {spec.input.length} numbers"}
    if not isinstance(spec.input, PictureInput):
        return {"runs": True, "classes": spec.classes, "gets": f"sound at {by_input.RATE_HZ} Hz, -1..1"}
    values = normalization.of_input(spec.input)
    return {"runs": True, "classes": spec.classes, "values": values.shown, "values_from": values.origin}
