"""Finds a driver by its name: a module of a package, or an entry point that somebody else registered."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from edged.errors import DriverError


class Registry:
    """The drivers of one package; its dotted name is also the group of the entry points.

    Args:
        package: such as ``edged.sources``, whose drivers are the modules of ``edged.sources.drivers``.
        noun: what a driver is, for messages.
    """

    def __init__(self, package: str, noun: str) -> None:
        self._package = package
        self._noun = noun

    @cached_property
    def _others(self) -> tuple[EntryPoint, ...]:
        """What others installed; looked for once, since it reads every package's metadata."""
        return tuple(entry_points(group=self._package))

    def own(self) -> set[str]:
        """Return the names of the package's own drivers."""
        path = importlib.import_module(f"{self._package}.drivers").__path__
        return {module.name for module in pkgutil.iter_modules(path)}

    def kinds(self) -> list[str]:
        """Return every driver's name, sorted."""
        return sorted(self.own() | {entry.name for entry in self._others})

    def load(self, kind: str) -> Any:
        """Return the module of the driver ``kind``.

        Raises:
            DriverError: nobody offers that driver; the message lists those that exist.
        """
        if kind in self.own():
            return importlib.import_module(f"{self._package}.drivers.{kind}")
        for entry in self._others:
            if entry.name == kind:
                return entry.load()
        known = ", ".join(self.kinds())
        raise DriverError(f"there is no {self._noun} of kind '{kind}'; there are {known}")


def wrong(message: str, *steps: str | int) -> PydanticCustomError:
    """Return the error of a block that points at what these steps lead to."""
    return PydanticCustomError("consistency", "{message}", {"steps": steps, "message": message})


class Section(BaseModel):
    """A block of the file. Unknown keys are errors; values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), hide_input_in_errors=True)


def install_command(extra: str) -> str:
    """Return the command: with the pip of edged's own environment, for a Debian lets no other one install."""
    pip = Path(sys.prefix, "bin", "pip") if sys.prefix != sys.base_prefix else "pip"
    return f"{pip} install 'edged[{extra}]'"
