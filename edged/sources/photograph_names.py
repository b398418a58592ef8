"""Tells a photograph by its name, for processes that must not look inside."""

from __future__ import annotations

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


def is_photograph(name: str) -> bool:
    """Whether the name has a photograph's suffix; hidden files are somebody's temporary ones."""
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)
