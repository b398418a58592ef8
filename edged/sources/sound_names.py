"""The names of sound files: which files of a folder are taken for sound."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SUFFIXES = (".wav", ".wave")


def is_sound(name: str) -> bool:
    """Return whether a file of this name is taken for sound."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def listed(folder: Path) -> list[Path]:
    """Return the sound files of a folder, by name. Raises ``OSError`` where it cannot be read."""
    return sorted(path for path in folder.iterdir() if is_sound(path.name))
