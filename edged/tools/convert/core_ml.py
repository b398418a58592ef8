"""Writes a Core ML package, which is a folder, whole or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

from edged.errors import Refused

SUFFIX = ".mlpackage"
_BAD = (zipfile.BadZipFile, OSError, ValueError, RuntimeError)


class PackageTarget:
    """The folder of a package.

    Args:
        path: the folder, which must not exist: edged removes no folder of others.

    Raises:
        Refused: it exists, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        if os.path.lexists(path):
            raise Refused(f"{path}: it exists already; remove it, or choose another name", os.EX_CANTCREAT)
        if not os.access(path.parent, os.W_OK):
            raise Refused(f"{path.parent}: nothing can be written there", os.EX_CANTCREAT)

    def write(self, archive: bytes) -> None:
        """Write what a zip archive holds.

        Raises:
            Refused: it cannot be written.
        """
        folder = Path(tempfile.mkdtemp(prefix=f".{self._path.name}.", dir=self._path.parent))
        try:
            with zipfile.ZipFile(io.BytesIO(archive)) as packed:
                packed.extractall(folder / "next")  # drops absolute paths and .. itself
            (folder / "next").rename(self._path)
        except _BAD as error:
            raise Refused(f"{self._path} cannot be written: {error}", os.EX_CANTCREAT) from None
        finally:
            with contextlib.suppress(OSError):
                shutil.rmtree(folder)
