"""Makes every path absolute: a relative one is looked for beside the configuration file.

Two kinds have a second place. A model's files also live in ``state_dir/models``, where updates put them; a
secret comes from ``$CREDENTIALS_DIRECTORY`` first, where systemd puts what ``LoadCredential=`` names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from edged.config import declarations
from edged.config.outputs import Jsonl
from edged.config.root import Config, ModelSection
from edged.sources import SourceConfig

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


def places(file: Path, base: Path, state_dir: Path) -> tuple[Path, Path]:
    """Return where a model's file is looked for, the first place first."""
    return base / file, state_dir / "models" / file


class _Paths:
    def __init__(self, base: Path, models: Path) -> None:
        self._base = base
        self._models = models

    def of(self, model: M) -> M:
        """Return a block with its paths and those of all blocks in it made absolute."""
        changed = {}
        for name, info in type(model).model_fields.items():
            value = getattr(model, name)
            new = self._value(model, name, declarations.of_field(info), value)
            if new is not value and new != value:
                changed[name] = new
        return model.model_copy(update=changed) if changed else model

    def _value(self, model: BaseModel, name: str, declared: declarations.Declared, value: Any) -> Any:
        if isinstance(value, BaseModel):
            return self.of(value)
        if isinstance(value, dict):
            return {key: self.of(v) if isinstance(v, BaseModel) else v for key, v in value.items()}
        if isinstance(value, Path):
            return self._path(model, declared, value)
        if isinstance(value, str) and _holds_path(model, name, value):
            return str(self._base / value)
        return value

    def _path(self, model: BaseModel, declared: declarations.Declared, path: Path) -> Path:
        if declared.secret:
            return self._secret(path)
        beside, stored = self._base / path, self._models / path
        if isinstance(model, ModelSection) and not _exists(beside) and _exists(stored):
            return stored
        return beside

    def _secret(self, path: Path) -> Path:
        folder = os.environ.get("CREDENTIALS_DIRECTORY")
        if folder and _exists(Path(folder, path)):
            return Path(folder, path)
        return self._base / path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # such as a name that is too long
        return False


def _holds_path(model: BaseModel, name: str, value: str) -> bool:
    """Whether a text is a path: of the JSON lines, and of a source whose ``url`` is none."""
    if isinstance(model, Jsonl):
        return name == "path" and value != "-"
    return isinstance(model, SourceConfig) and name == "url" and not _ADDRESS.match(value)
