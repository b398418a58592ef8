"""Drivers: how one is found by its name, and what its configuration is made of."""

from __future__ import annotations

import enum
import importlib
import pkgutil
import sys
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from edged.errors import DriverError


class Registry:
    """The drivers of one kind: the modules of a folder, and third parties' entry points.

    Args:
        group: the group of the entry points, such as ``edged.sources``.
        noun: the word for such a driver in messages.
        folder: the package whose modules are edged's own drivers, such as ``edged.sources.drivers``.
    """

    def __init__(self, group: str, noun: str, folder: str) -> None:
        self._group = group
        self._noun = noun
        self._folder = folder

    @cached_property
    def _others(self) -> tuple[EntryPoint, ...]:
        """Third parties' drivers; searched for once, since that reads the metadata of every package."""
        return tuple(entry_points(group=self._group))

    def own(self) -> set[str]:
        """Return the names of edged's own drivers."""
        path = importlib.import_module(self._folder).__path__
        return {module.name for module in pkgutil.iter_modules(path)}

    def kinds(self) -> list[str]:
        """Return every driver's name, sorted."""
        return sorted(self.own() | {entry.name for entry in self._others})

    def load(self, kind: str) -> Any:
        """Return the module of the driver ``kind``.

        Raises:
            DriverError: there is no such driver; the message lists the available ones.
        """
        if kind in self.own():
            return importlib.import_module(f"{self._folder}.{kind}")
        for entry in self._others:
            if entry.name == kind:
                return entry.load()
        known = ", ".join(self.kinds())
        raise DriverError(f"there is no {self._noun} of kind '{kind}'; available: {known}")


def wrong(message: str, *steps: str | int) -> PydanticCustomError:
    """Return a validation error that points at the key under these steps of a block."""
    return PydanticCustomError("consistency", "{message}", {"steps": steps, "message": message})


class Section(BaseModel):
    """A block of the configuration. Unknown keys are errors; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)


class FileMark(enum.Enum):
    """The role of a file that a key of the configuration names; part of the key's type."""

    PATH_OR_URL = enum.auto()
    PATH_OR_DASH = enum.auto()
    SECRET = enum.auto()
    MODEL = enum.auto()
    TAUGHT = enum.auto()


PathOrUrl = Annotated[str, FileMark.PATH_OR_URL]
"""A path, or an address such as ``rtsp://…``."""
PathOrDash = Annotated[str, FileMark.PATH_OR_DASH]
"""A path, or ``-`` for standard output."""
SecretFile = Annotated[Path, FileMark.SECRET]
"""The path of a file that contains only one secret; searched for in ``$CREDENTIALS_DIRECTORY`` first."""
ModelPath = Annotated[Path, FileMark.MODEL]
"""The path of a model or of its labels; also searched for in ``state_dir/models``."""
TaughtName = Annotated[Path, FileMark.TAUGHT]
"""The name of a taught model, a folder in ``state_dir/models/taught``; or the path of such a folder."""


def install_command(extra: str) -> str:
    """Return the command that installs an extra, with the pip of edged's own environment.

    Debian does not let the system's pip install packages.
    """
    pip = Path(sys.prefix, "bin", "pip") if sys.prefix != sys.base_prefix else "pip"
    return f"{pip} install 'edged[{extra}]'"
