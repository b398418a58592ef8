"""Makes every path absolute; relative paths start at the folder of the configuration file.

The key's type gives the role of the file (:class:`edged.drivers.FileMark`). Two roles have a second place: a
model's files may also be in ``state_dir/models``, where updates put them; a secret is first searched for in
``$CREDENTIALS_DIRECTORY``, where systemd puts the files that ``LoadCredential=`` names. A taught model is a
folder in ``state_dir/models/taught``. ``model.name`` becomes the files and the checksum of the version that
is installed under that name now, so each reload of the configuration finds the newest one.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from edged.config import declarations
from edged.drivers import FileMark
from edged.errors import ModelError
from edged.models import bundled
from edged.models.installed import Store

if TYPE_CHECKING:
    from edged.config.model import ModelSection
    from edged.config.pipeline import PipelineSection
    from edged.config.root import Config

M = TypeVar("M", bound=BaseModel)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def absolute(config: Config, base: Path) -> Config:
    """Return the configuration with absolute paths.

    Args:
        config: as it was read.
        base: the folder of its file, absolute.
    """
    found = _Paths(base, base / config.state_dir / "models").of(config)
    store = Store(base / config.state_dir)
    pipelines = {name: _with_installed(pipeline, store) for name, pipeline in found.pipelines.items()}
    return found.model_copy(update={"pipelines": pipelines})


def _with_installed(pipeline: PipelineSection, store: Store) -> PipelineSection:
    """Return the section with the files of the models that it names."""
    update: dict[str, Any] = {}
    if pipeline.model.installed:
        update["model"] = _installed(pipeline.model, store)
    if pipeline.then is not None and pipeline.then.model.installed:
        closer = _installed(pipeline.then.model, store)
        update["then"] = pipeline.then.model_copy(update={"model": closer})
    return pipeline.model_copy(update=update) if update else pipeline


def _installed(model: ModelSection, store: Store) -> ModelSection:
    """Return the section with the files of the model that it names; they may not exist."""
    name = model.name or ""
    if name == bundled.REPLIES.stem:
        sha256 = model.sha256 or bundled.REPLIES_SHA256
        return model.model_copy(update={"name": None, "file": bundled.REPLIES, "sha256": sha256})
    try:
        used = store.read(name)
    except ModelError:  # it is damaged: its files are missing, as those of one that is not installed
        used = None
    if used is None:
        return model.model_copy(update={"name": None, "file": store.folder(name) / f"{name}.tflite"})
    update = {
        "name": None,
        "file": used.file,
        "labels": model.labels or used.labels,
        "sha256": model.sha256 or used.about.sha256,
    }
    return model.model_copy(update=update)


def absolute_in(section: M, base: Path) -> M:
    """Return a section without models with absolute paths; ``base`` is as in :func:`absolute`."""
    return _Paths(base, base).of(section)


class _Paths:
    def __init__(self, base: Path, models: Path) -> None:
        self._base = base
        self._models = models

    def of(self, model: M) -> M:
        """Return a block with its paths and those of all blocks in it made absolute."""
        changed = {}
        for name, info in type(model).model_fields.items():
            value = getattr(model, name)
            new = self._value(declarations.of_field(info).file_mark, value)
            if new is not value and new != value:
                changed[name] = new
        return model.model_copy(update=changed) if changed else model

    def _value(self, mark: FileMark | None, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return self.of(value)
        if isinstance(value, dict):
            return {key: self.of(v) if isinstance(v, BaseModel) else v for key, v in value.items()}
        if isinstance(value, Path):
            return self._path(mark, value)
        if isinstance(value, str) and _is_path(mark, value):
            return str(self._base / value)
        return value

    def _path(self, mark: FileMark | None, path: Path) -> Path:
        beside = self._base / path
        if mark is FileMark.TAUGHT:
            return self._models / "taught" / path if len(path.parts) == 1 else beside
        if mark is FileMark.SECRET:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            given = Path(folder, path) if folder else beside
            return given if _exists(given) else beside
        if mark is FileMark.MODEL and not _exists(beside) and _exists(self._models / path):
            return self._models / path
        return beside


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _is_path(mark: FileMark | None, text: str) -> bool:
    """Return whether a text is a path; the type of its key determines the alternatives."""
    if mark is FileMark.PATH_OR_DASH:
        return text != "-"
    return mark is FileMark.PATH_OR_URL and not _ADDRESS.match(text)
