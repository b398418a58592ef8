"""Folders of models in the state directory: installed and taught ones are found, locked and refused alike."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from edged.errors import Refused

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # how a folder is opened


def names(root: Path, pattern: re.Pattern[str], marker: str) -> list[str]:
    """Return the names of the models below a folder, sorted.

    Args:
        root: the folder of all of them.
        pattern: that of a name.
        marker: the file that a whole model has.

    Raises:
        Refused: this user may not see them.
    """
    try:
        found = [entry.name for entry in os.scandir(root) if (Path(entry.path) / marker).exists()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise refused(root, error) from None
    return sorted(name for name in found if pattern.fullmatch(name))


@contextlib.contextmanager
def locked(root: Path, descriptor: int, busy: str) -> Iterator[None]:
    """Keep other processes from writing to a model; close the descriptor of its folder at the end.

    Args:
        root: the folder of all models.
        descriptor: the model's folder.
        busy: the sentence for a person while another process writes to it.

    Raises:
        Refused: another process writes to it, or what the block does is not allowed or cannot be done.
    """
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Refused(busy, os.EX_TEMPFAIL) from None
        yield
    except OSError as error:
        raise refused(root, error) from None
    finally:
        os.close(descriptor)


def refused(root: Path, error: OSError) -> Refused:
    """Return what to tell a person of an error below a folder of models."""
    why = (error.strerror or str(error)).lower()
    denied = isinstance(error, PermissionError)
    hint = "; use sudo, or -c FILE with a state_dir of your own" if denied else ""
    what = f"{error.filename or root}: {why}"
    return Refused(f"{what}{hint}", os.EX_NOPERM if denied else os.EX_CANTCREAT)
