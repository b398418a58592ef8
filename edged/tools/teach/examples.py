"""Finds the examples that a command line names: photographs or lines of text, each with its label."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edged.errors import Refused
from edged.models.taught import head_file
from edged.sources.photograph_names import is_photograph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from edged.models.taught.head_file import Gives


@dataclass(frozen=True)
class Examples:
    """The examples that are shown to a model.

    Attributes:
        gives: pictures or text.
        files: each file with its label; a file of text has an example in each line.
        camera: instead of files: the section ``source`` of a pipeline.
        label: the label of what the camera shows.
        count: pictures to take.
        interval_s: between two of them.
        keep: keep the pictures beside the model.
    """

    gives: Gives
    files: tuple[tuple[Path, str], ...] = ()
    camera: Mapping[str, Any] | None = None
    label: str = ""
    count: int = 0
    interval_s: float = 1.0
    keep: bool = False

    @property
    def labels(self) -> list[str]:
        """Its labels, each once, in their order."""
        named = [self.label] if self.camera is not None else [label for _, label in self.files]
        return list(dict.fromkeys(named))


def checked(label: str) -> str:
    """Return a label that can be taught. Raises ``Refused`` for another one."""
    if why := head_file.unfit(label):
        raise Refused(f"{label!r} cannot be a label: {why}", os.EX_USAGE)
    return label


def photographs(folder: Path, label: str | None) -> Examples:
    """Return the photographs of a folder.

    Args:
        folder: with photographs of one label, or with a folder of them for each label.
        label: their label; None: the folders' names.

    Raises:
        Refused: there are none, or the folders do not fit the label.
    """
    found = _inside(folder)
    if label is not None:
        files = [(path, label) for path in found if is_photograph(path.name) and path.is_file()]
        if not files and any(path.is_dir() for path in found):
            what = (
                f"{folder} holds folders, not photographs: leave --label out, and each folder's name is one"
            )
            raise Refused(what, os.EX_NOINPUT)
    else:
        files = [
            (path, inner.name)
            for inner in found
            if inner.is_dir()
            for path in _inside(inner)
            if is_photograph(path.name) and path.is_file()
        ]
        if not files and any(is_photograph(path.name) for path in found):
            what = f"{folder} holds photographs: write their --label, or put them into {folder}/LABEL"
            raise Refused(what, os.EX_NOINPUT)
    return Examples("picture", _some(files, f"no photograph is in {folder}"))


def texts(path: Path, label: str | None) -> Examples:
    """Return files of text with an example in each line.

    Args:
        path: a file, or a folder with a file ``LABEL.txt`` for each label.
        label: the label of the file; None: the files' names.

    Raises:
        Refused: there are none, or they do not fit the label.
    """
    if path.is_dir():
        if label is not None:
            raise Refused(f"{path} is a folder: leave --label out, and each file's name is one", os.EX_USAGE)
        files = [(file, file.stem) for file in _inside(path) if file.suffix == ".txt" and file.is_file()]
        return Examples("text", _some(files, f"no file LABEL.txt is in {path}"))
    if label is None:
        raise Refused(f"{path}: write the --label of its lines", os.EX_USAGE)
    if not path.is_file():
        raise Refused(f"{path}: there is no such file", os.EX_NOINPUT)
    return Examples("text", ((path.absolute(), label),))


def _inside(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        said = (error.strerror or str(error)).lower()
        raise Refused(f"{error.filename or folder}: {said}", os.EX_NOINPUT) from None


def _some(files: Iterable[tuple[Path, str]], otherwise: str) -> tuple[tuple[Path, str], ...]:
    found = tuple((path.absolute(), label) for path, label in files)
    if not found:
        raise Refused(otherwise, os.EX_NOINPUT)
    return found
