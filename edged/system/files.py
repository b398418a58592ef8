"""Reads a small regular file: never a pipe that waits for ever, a device, or more than is wanted."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from edged.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path


def read_regular(path: Path | str, most: int) -> tuple[bytes, os.stat_result]:
    """Return a file's bytes, at most ``most``, and its status.

    Raises:
        ConfigError: one sentence; the path is the problem's ``where``.
    """
    name = str(path)
    try:
        # O_NONBLOCK: opening a pipe would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        raise _refused(name, error) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device or pipe"
            raise ConfigError([Problem(name, f"this is {kind}, not a file")])
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise _refused(name, error) from None
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise ConfigError([Problem(name, f"the file is longer than {most} bytes")])
    return data, status


def _refused(name: str, error: OSError | ValueError) -> ConfigError:
    if isinstance(error, FileNotFoundError):
        return ConfigError([Problem(name, "there is no such file")])
    if isinstance(error, PermissionError):
        return ConfigError([Problem(name, "the file may not be read", "look at its owner and mode")])
    reason = (getattr(error, "strerror", None) or str(error)).lower()
    return ConfigError([Problem(name, f"the file cannot be opened: {reason}")])
