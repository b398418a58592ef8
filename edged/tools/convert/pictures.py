"""Chooses the photographs that a source and its conversions are compared on."""

from __future__ import annotations

import os
from pathlib import Path

import edged
from edged.errors import Refused
from edged.sources.photograph_names import is_entered, is_photograph

_BUNDLED = Path(edged.__file__).parent / "photos"


def chosen(folder: Path | None, most: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return photographs, spread evenly over those in a folder, and the name of the folder of each.

    Args:
        folder: with photographs, or with folders of them; None: the bundled ones.
        most: how many.

    Returns:
        Their paths, and for each the name of its sub-folder, empty in the folder itself.

    Raises:
        Refused: there are none.
    """
    root = _BUNDLED if folder is None else folder.absolute()
    if not root.is_dir():
        raise Refused(f"{folder}: there is no such folder (--images)", os.EX_NOINPUT)
    found = []
    for at, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if is_entered(name))
        found += [Path(at, name) for name in sorted(names) if is_photograph(name)]
    if not found:
        raise Refused(f"{folder}: no photograph is in it (--images)", os.EX_NOINPUT)
    some = found if len(found) <= most else [found[n * len(found) // most] for n in range(most)]
    return tuple(map(str, some)), tuple("" if path.parent == root else path.parent.name for path in some)
