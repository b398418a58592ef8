"""Recognises a photograph by its name, for processes that must not open it."""

from __future__ import annotations

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def is_photograph(name: str) -> bool:
    """Return whether the name has a photograph's suffix; hidden files count as temporary ones."""
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)
