"""Secrets: kept in files of their own, and never in the configuration, a log line or a repr."""

from __future__ import annotations

import logging
import re
import stat
from typing import TYPE_CHECKING

from edged.config.declarations import of_field
from edged.drivers import FileMark
from edged.errors import ConfigError, Problem
from edged.system.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

log = logging.getLogger(__name__)

MAX_BYTES = 4096
CONFIGURATION_BYTES = 1 << 20
_OTHER_CODINGS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_PASSWORD_IN_ADDRESS = re.compile(r"://[^/@\s\"']*:[^/\s\"']*@")
_SECRET_KEY = re.compile(
    r"(^|[_-])pass(wd|phrase)?$|password|secret|token|api[_-]?key|credential|^(pin|pwd)$", re.IGNORECASE
)


class Secret:
    """A secret in memory, which only :meth:`reveal` returns: str, repr and format give ``***``."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> str:
        raise TypeError("a secret cannot be pickled")


def is_secret_key(key: str) -> bool:
    """Return whether the value of this key must never appear in a message."""
    return bool(_SECRET_KEY.search(key))


def read_secret(path: Path, *, warn: bool = True) -> Secret:
    """Read a secret from its file: the first line, without the mark that some editors put before it.

    A byte order mark and ends of lines are the editor's. Anything else that hardly belongs to a password gets
    a warning: blanks around it, which count, and further lines, which do not.

    Args:
        path: the file.
        warn: log a warning if the file is readable by everyone, or the secret looks wrong.

    Raises:
        ConfigError: the file is missing, unreadable, not a regular file, empty, over 4 KiB or not UTF-8.
    """
    data, status = read_regular(path, MAX_BYTES)
    if warn and status.st_mode & stat.S_IROTH:
        log.warning("%s holds a secret but is readable by everyone; run: chmod 600 %s", path, path)
    secret, doubts = _secret(path, data)
    for doubt in doubts if warn else ():
        log.warning("%s: %s", path, doubt)
    return secret


def secret_files(section: BaseModel) -> dict[str, Path]:
    """Return the files that a section of the configuration names for its secrets, by key."""
    marks = {key: of_field(info).file_mark for key, info in type(section).model_fields.items()}
    return {
        key: path
        for key, mark in marks.items()
        if mark is FileMark.SECRET and (path := getattr(section, key)) is not None
    }


def exposed_passwords(path: Path | str) -> list[Problem]:
    """Return where addresses in a configuration hold passwords that every user of this machine can read.

    Raises:
        ConfigError: the file cannot be read.
    """
    data, status = read_regular(path, CONFIGURATION_BYTES)
    if not status.st_mode & stat.S_IROTH:
        return []
    lines = enumerate(data.decode(errors="replace").splitlines(), 1)
    return [
        Problem(
            f"{path}:{number}",
            "the address has a password, and everyone may read this file",
            f"chmod 640 {path}, or write the password to a file of its own",
        )
        for number, line in lines
        if _PASSWORD_IN_ADDRESS.search(line.partition(" #")[0])
    ]


def _secret(path: Path, data: bytes) -> tuple[Secret, list[str]]:
    """Return the secret, and what looks wrong with it."""
    for mark, coding in _OTHER_CODINGS.items():
        if data.startswith(mark):
            raise _wrong(path, f"the file is {coding} text; save it as UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _wrong(path, "the file is not UTF-8 text") from None
    lines = text.splitlines()
    first = lines[0] if lines else ""
    if not first.strip():
        what = "the file is empty" if not text.strip() else "the first line is empty"
        raise _wrong(path, f"{what}; write the secret to it")
    found = []
    if any(line.strip() for line in lines[1:]):
        found.append("only the first line is used, and there are more")
    if first != first.strip():
        found.append("the secret begins or ends with a blank, which counts; remove it if it is not meant")
    return Secret(first), found


def _wrong(path: Path, what: str) -> ConfigError:
    return ConfigError([Problem(str(path), what)])
