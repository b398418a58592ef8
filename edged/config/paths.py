"""Makes every path absolute; relative paths start at the folder of the configuration file.

The key's type gives the role of the file (:class:`edged.drivers.FileMark`). Two roles have a second place: a
model's files may also be in ``state_dir/models``, where updates put them; a secret is first searched for in
``$CREDENTIALS_DIRECTORY``, where systemd puts the files that ``LoadCredential=`` names. A taught model is a
folder in ``state_dir/models/taught``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from edged.config import declarations
from edged.drivers import FileMark

if TYPE_CHECKING:
    from edged.config.root import Config

M = TypeVar("M", bound=BaseModel)
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")


def absolute(config: Config, base: Path) -> Config:
    """Return the configuration with absolute paths.

    Args:
        config: as it was read.
        base: the folder of its file, absolute.
    """
    models = base / config.state_dir / "models"
    return _Paths(base, models).of(config)


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
