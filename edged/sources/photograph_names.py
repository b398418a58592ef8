"""Recognises a photograph by its name, for processes that must not open it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Files called .heic are JPEG often enough, as phones convert them on their way: only the content shows it.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".heic", ".heif"),
)
FORMATS = "jpg, jpeg, png, bmp, gif, webp, tif"

_CONVERT = "convert them to JPEG"
_OTHERS = {
    ".avif": _CONVERT,
    ".jxl": _CONVERT,
    ".dng": _CONVERT,
    ".cr2": _CONVERT,
    ".cr3": _CONVERT,
    ".nef": _CONVERT,
    ".arw": _CONVERT,
    ".mp4": "use `kind: video`",
    ".mov": "use `kind: video`",
    ".avi": "use `kind: video`",
    ".mkv": "use `kind: video`",
}
# What network storage puts beside photographs, for itself: small copies and removed ones.
_NOT_ENTERED = ("@", "#recycle", "$RECYCLE.BIN", "lost+found", "__MACOSX")


def is_photograph(name: str) -> bool:
    """Return whether the name has a photograph's suffix; hidden files count as temporary ones."""
    return not name.startswith(".") and name.lower().endswith(SUFFIXES)


def is_entered(folder: str) -> bool:
    """Return whether photographs in a sub-folder of this name count."""
    return not folder.startswith((".", *_NOT_ENTERED))


def others(names: Iterable[str]) -> str:
    """Return what to do with files that a person may take for photographs; empty where there are none."""
    suffixes = Counter(name.lower()[name.rfind(".") :] for name in names if "." in name)
    found = [(suffix, suffixes[suffix]) for suffix in _OTHERS if suffix in suffixes]
    if not found:
        return ""
    suffix, count = max(found, key=lambda item: item[1])
    files = f"{count} {suffix} files" if count > 1 else f"a {suffix} file"
    return f"it has {files}: {_OTHERS[suffix] if count > 1 else _OTHERS[suffix].replace('them', 'it')}"
