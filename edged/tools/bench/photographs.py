"""Finds photographs or sound files: a folder per label, whose name is the right answer for what is in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from edged.config.error_messages import closest
from edged.errors import Refused
from edged.ipc.bench_request import Answers, names
from edged.sources.photograph_names import is_photograph
from edged.sources.sound_names import is_sound

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_SHOWN = 10  # names of folders in a sentence


def by_label(folder: Path) -> dict[str, list[Path]]:
    """Return the photographs in each subfolder of a folder, sorted; where there is none, the sound files.

    Empty subfolders are left out.

    Raises:
        Refused: there are none, or they are not in subfolders.
    """
    try:
        inside = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        found = _by_label(inside, is_photograph) or _by_label(inside, is_sound)
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise Refused(f"{error.filename or folder}: {said} (--images)", os.EX_NOINPUT) from None
    if not found:
        loose = any(is_photograph(path.name) for path in inside)
        how = f"put each photograph into a folder named after its label: {folder}/LABEL/*.jpg"
        what = "its photographs are not in folders" if loose else "no photograph is in it"
        raise Refused(f"{folder}: {what}; {how}", os.EX_NOINPUT)
    return found


def _by_label(folders: Sequence[Path], wanted: Callable[[str], bool]) -> dict[str, list[Path]]:
    found = {
        folder.name: sorted(path for path in folder.iterdir() if wanted(path.name) and path.is_file())
        for folder in folders
        if folder.is_dir()
    }
    return {name: paths for name, paths in found.items() if paths}


def strangers(folders: Mapping[str, object], labels: Sequence[str]) -> dict[str, str]:
    """Return the folders whose names are not among the labels, with the labels that may be meant."""
    answers = Answers(labels)
    return {
        name: closest(name.replace("_", " "), names(labels)) for name in folders if not answers.meant_by(name)
    }


def shown(found: Mapping[str, str]) -> str:
    """Return unknown names in words."""
    words = [f"'{name}'" + (f" ({hint})" if hint else "") for name, hint in list(found.items())[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(words) + more
