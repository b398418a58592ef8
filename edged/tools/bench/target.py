"""Files for results: tried before the measurement, written whole or not at all after it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from edged.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path


class Target:
    """One file.

    Args:
        path: the file, which is replaced.

    Raises:
        Refused: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._said = path
        try:
            # A device or a pipe is written to; a file is replaced, and so is the file that a link points to.
            self._replaces = path.is_file() or not path.exists()
            self._path = path.resolve() if self._replaces else path
            if path.is_dir():
                raise IsADirectoryError(0, "it is a folder")
            self._next = self._path.with_name(f".{self._path.name}.{os.getpid()}.next")
            if self._replaces:
                self._next.write_bytes(b"")
                self._next.unlink()
        except OSError as error:
            raise self._refused(error) from None

    def write(self, data: bytes) -> None:
        """Write the file.

        Raises:
            Refused: it cannot be written.
        """
        try:
            if self._replaces:
                self._next.write_bytes(data)
                self._next.replace(self._path)
            else:
                self._path.write_bytes(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            with contextlib.suppress(OSError):
                self._next.unlink(missing_ok=True)
            raise self._refused(error) from None

    def _refused(self, error: OSError) -> Refused:
        why = (error.strerror or str(error)).lower()
        return Refused(f"{self._said} cannot be written: {why}", os.EX_CANTCREAT)
