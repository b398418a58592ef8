"""Signed catalogues: fetched from a publisher, verified at each reading, and only ever newer ones.

::

    STATE_DIR/models/catalogues/NAME     the signature in base64, a line end, and the list as it was signed

A list is JSON: ``{"version": 3, "models": [{"name": …, "url": …, "bytes": …, "sha256": …}]}``, with the other
keys of :class:`edged.models.catalogue.Entry` where the publisher likes.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from edged.errors import Refused
from edged.models import catalogue
from edged.models.catalogue import Entry
from edged.models.installed import NAME, make_folder
from edged.system.files import flush, open_regular, write_flushed
from edged.tools.models.download import STALL_S, Download
from edged.tools.models.signature import verified

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edged.config.catalogues import CatalogueSection
    from edged.tools.models.download import Watcher

MOST_BYTES = 4 << 20  # of a list
_MOST_SIGNATURE = 200
_SHA256 = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("task", "family", "publisher", "about", "source", "licence", "input", "output")


@dataclass(frozen=True)
class Listed:
    """A verified list.

    Attributes:
        version: its number; a later list has a larger one.
        entries: its models.
        content: the bytes that were signed.
    """

    version: int
    entries: tuple[Entry, ...]
    content: bytes


class Publishers:
    """The catalogues of a configuration.

    Args:
        sections: their sections, by name.
        state_dir: the state directory.
        stall_s: the longest silence of a server.
    """

    def __init__(
        self, sections: Mapping[str, CatalogueSection], state_dir: Path, stall_s: float = STALL_S
    ) -> None:
        self._sections = sections
        self._state_dir = state_dir
        self._stall_s = stall_s

    def update(self, watcher: Watcher) -> dict[str, Listed]:
        """Fetch all lists; return those that are in force now.

        Raises:
            Refused: one cannot be had, is not signed with the key, is malformed, or not newer.
        """
        return {name: self._update(name, watcher) for name in self._sections}

    def read(self, name: str) -> Listed | None:
        """Return the list that was fetched last; None where there is none that the key has signed."""
        file = self._file(name)
        try:
            with open_regular(file) as opened:
                signature, _, content = opened.read(MOST_BYTES + _MOST_SIGNATURE + 1).partition(b"\n")
        except (FileNotFoundError, PermissionError):  # a user who may not see it has edged's own models
            return None
        except OSError as error:
            raise Refused(f"{file}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
        if not verified(content, signature, self._sections[name].key):
            return None  # it is altered, or the key is another one now
        return _parsed(name, content)

    def entries(self) -> dict[str, Entry]:
        """Return edged's own models and those of all publishers, whose entries come before edged's."""
        found = dict(catalogue.entries())
        for name in reversed(list(self._sections)):
            listed = self.read(name)
            if listed is not None:
                found |= {entry.name: entry for entry in listed.entries}
        return found

    def _file(self, name: str) -> Path:
        return self._state_dir / "models" / "catalogues" / name

    def _update(self, name: str, watcher: Watcher) -> Listed:
        section, before = self._sections[name], self.read(name)
        try:
            folder = make_folder(self._state_dir, "catalogues")
            content = self._fetched(section.url, folder / f".{name}.part", MOST_BYTES, watcher)
            signature = self._fetched(
                f"{section.url}.sig", folder / f".{name}.part", _MOST_SIGNATURE, watcher
            )
            signature = b"".join(signature.split())  # base64 wraps its lines
            if not verified(content, signature, section.key):
                raise Refused(
                    f"{name}: {section.url} is not signed with the key of the configuration", os.EX_NOPERM
                )
            listed = _parsed(name, content)
            if before is not None and before.content == content:
                return before
            if before is not None and listed.version <= before.version:
                what = f"version {listed.version} of {section.url} does not follow version {before.version}"
                raise Refused(f"{name}: {what}; the list before stays", os.EX_NOPERM)
            following = folder / f".{name}.next"
            write_flushed(following, signature + b"\n" + content, 0o644)
            following.rename(self._file(name))
            flush(folder)
        except OSError as error:
            what = f"{error.filename or self._state_dir}: {(error.strerror or str(error)).lower()}"
            raise Refused(what, os.EX_CANTCREAT) from None
        return listed

    def _fetched(self, url: str, part: Path, most: int, watcher: Watcher) -> bytes:
        part.unlink(missing_ok=True)  # of another list
        try:
            Download(url, part, most, stall_s=self._stall_s).run(watcher)
            return part.read_bytes()
        finally:
            part.unlink(missing_ok=True)


def _parsed(name: str, content: bytes) -> Listed:
    """Return a list. Raises ``Refused`` where it is malformed, although the publisher signed it."""
    try:
        data = json.loads(content)
        return Listed(_version(data["version"]), tuple(_entry(model) for model in data["models"]), content)
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(f"{name}: the list is malformed: {error!r}", os.EX_DATAERR) from None


def _version(given: object) -> int:
    if type(given) is not int or given < 1:
        raise ValueError(f"version is {given!r}, not a whole number from 1")
    return given


def _entry(model: dict[str, Any]) -> Entry:
    """Return a model of a list. Raises ``ValueError``, ``KeyError`` or ``TypeError``."""
    for key, form in (("name", NAME), ("sha256", _SHA256), ("url", re.compile(r"https?://[^\s/]+/\S+"))):
        if not form.fullmatch(model[key]):
            raise ValueError(f"{key} is {model[key]!r}")
    if type(model["bytes"]) is not int or model["bytes"] < 1:
        raise ValueError(f"bytes is {model['bytes']!r}")
    known = {field.name for field in fields(Entry)}
    given = {"task": "classify", "family": "", "publisher": "", "about": ""} | model
    taken = {key: value for key, value in given.items() if key in known}
    if any(not isinstance(taken.get(key, ""), str) for key in _TEXTS):
        raise ValueError(f"{model['name']}: {', '.join(_TEXTS)} are texts")
    if not isinstance(taken.get("top1", 0), int | float | None):
        raise TypeError(f"{model['name']}: top1 is a number")
    return Entry.from_data({key: taken[key] for key in taken.keys() - {"git_blob", "unusable"}})
