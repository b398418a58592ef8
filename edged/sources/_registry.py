"""Finds a driver by its name: a module beside this one, or an entry point of the group ``edged.sources``."""

from __future__ import annotations

import functools
import importlib
import pkgutil
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import edged.sources
from edged.errors import DriverError


@functools.cache
def _others() -> tuple[EntryPoint, ...]:
    """Return the drivers that others installed; looked for once, since it reads every package's metadata."""
    return tuple(entry_points(group="edged.sources"))


def kinds() -> list[str]:
    """Return every driver's name, sorted."""
    return sorted({*own_kinds(), *(e.name for e in _others())})


def own_kinds() -> list[str]:
    """Return the names of this package's drivers, sorted."""
    return sorted(m.name for m in pkgutil.iter_modules(edged.sources.__path__) if m.name[0] != "_")


def load(kind: str) -> Any:
    """Return the module of the driver ``kind``.

    Raises:
        DriverError: nobody offers that driver; the message lists those that exist.
    """
    for module in pkgutil.iter_modules(edged.sources.__path__):
        if module.name == kind and not kind.startswith("_"):
            return importlib.import_module(f"edged.sources.{kind}")
    for entry in _others():
        if entry.name == kind:
            return entry.load()
    raise DriverError(f"there is no source of kind '{kind}'; there are {', '.join(kinds())}")
