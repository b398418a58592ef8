"""Models that ``edged models add`` installed, one folder for each name.

::

    STATE_DIR/models/installed/NAME/
        current             the number of the version that pipelines use
        0002/NAME.tflite    the model
        0002/NAME.txt       its labels, where they are in a file of their own
        0002/about.json     checksums, origin, time

A version is written beside the others, flushed to the disk and renamed, and never changed; then ``current``
is replaced in one step. So a pipeline finds one version or the other, and the one before stays for
``rollback``. Under the service everything belongs to root, and workers cannot write it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from edged.errors import ModelError, Refused
from edged.models import model_folders
from edged.system.files import flush, open_regular, write_flushed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
KEPT = 3  # versions of a model
_ABOUT, _CURRENT = "about.json", "current"
_MOST = 64 * 1024  # bytes of a small file


@dataclass(frozen=True)
class About:
    """What is kept of a version.

    Attributes:
        sha256: the checksum of the model.
        labels_sha256: that of its label file; empty: its labels are packed in it.
        origin: where it came from: an address or a path.
        added: when, in seconds since 1970.
        latency_ms: the median of its self-test.
    """

    sha256: str
    labels_sha256: str
    origin: str
    added: float
    latency_ms: float


@dataclass(frozen=True)
class Installed:
    """The version of a model that is used.

    Attributes:
        name: the model's name.
        version: its number, from 1.
        folder: its folder.
        about: what is kept of it.
        before: the numbers of older versions that are still there.
    """

    name: str
    version: int
    folder: Path
    about: About
    before: tuple[int, ...] = ()

    @property
    def file(self) -> Path:
        """The model."""
        return self.folder / f"{self.name}.tflite"

    @property
    def labels(self) -> Path | None:
        """Its label file; None: the labels are packed in it."""
        return self.folder / f"{self.name}.txt" if self.about.labels_sha256 else None

    def damage(self) -> str:
        """Return what is wrong with its files, as a sentence; empty: they are as they were installed."""
        expected = {self.file: self.about.sha256}
        if self.labels is not None:
            expected[self.labels] = self.about.labels_sha256
        for path, sha256 in expected.items():
            try:
                found = digest(path)
            except OSError as error:
                return f"{path}: {(error.strerror or str(error)).lower()}"
            if found != sha256:
                return f"{path}: its SHA-256 is {found}, and {sha256} was installed"
        return ""


def digest(path: Path) -> str:
    """Return the SHA-256 of a file. Raises ``OSError``."""
    with open_regular(path) as file:
        found = hashlib.sha256()
        while part := file.read(1 << 20):
            found.update(part)
        return found.hexdigest()


class Store:
    """The installed models of a state directory.

    Args:
        state_dir: the state directory.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._root = state_dir / "models" / "installed"

    def folder(self, name: str) -> Path:
        """Return the folder of a model, which may not exist. Raises ``Refused`` for a name that none has."""
        if not NAME.fullmatch(name):
            what = "a name has 1 to 64 letters, digits, dots, - and _, and begins with a letter or digit"
            raise Refused(f"'{name}': {what}", os.EX_USAGE)
        return self._root / name

    def names(self) -> list[str]:
        """Return the names of all installed models, sorted. Raises ``Refused``."""
        return model_folders.names(self._root, NAME, _CURRENT)

    def read(self, name: str) -> Installed | None:
        """Return the version of a model that is used; None where there is no such model.

        Raises:
            ModelError: what is kept of it is damaged.
        """
        folder = self.folder(name)
        try:
            version = int(_small(folder / _CURRENT))
            about = About(**json.loads(_small(folder / f"{version:04}" / _ABOUT)))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError) as error:
            raise ModelError(f"{folder}: it is damaged ({error}): edged models add {name}") from None
        before = tuple(number for number in _versions(folder) if number < version)
        return Installed(name, version, folder / f"{version:04}", about, before)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Make the folder of a model and keep others from writing to it; yield an empty folder in it.

        What is left in the empty folder is deleted at the end, except a part of a download.

        Raises:
            Refused: another process writes to it, or this user may not.
        """
        folder = self.folder(name)
        try:
            make_folder(self._state_dir, self._root.name)
            folder.mkdir(mode=0o755, exist_ok=True)
            descriptor = os.open(folder, model_folders.FOLDER | os.O_NOFOLLOW)
        except OSError as error:
            raise model_folders.refused(self._root, error) from None
        following = folder / ".next"
        with model_folders.locked(self._root, descriptor, f"another process installs {name} just now"):
            try:
                shutil.rmtree(following, ignore_errors=True)
                following.mkdir(mode=0o755)
                yield following
            finally:
                shutil.rmtree(following, ignore_errors=True)
                with contextlib.suppress(OSError):
                    folder.rmdir()  # where nothing came of it

    def part(self, name: str) -> Path:
        """Return the file for the part of a download of a model that is being written."""
        return self.folder(name) / ".part"

    def put(self, following: Path, name: str, about: About) -> Installed:
        """Make the folder that :meth:`writing` gave, with the model in it, the version that is used."""
        folder = self.folder(name)
        numbers = _versions(folder)
        version = numbers[-1] + 1 if numbers else 1
        write_flushed(following / _ABOUT, json.dumps(asdict(about)).encode(), 0o644)
        for path in following.iterdir():
            path.chmod(0o644)
            flush(path)
        flush(following)
        following.rename(folder / f"{version:04}")
        _point(folder, version)
        for old in _versions(folder)[:-KEPT]:
            shutil.rmtree(folder / f"{old:04}", ignore_errors=True)
        return self._used(name)

    def rollback(self, name: str) -> Installed:
        """Use the version before again, and forget the one that is used.

        Raises:
            Refused: there is no version before, or no such model.
        """
        with self.writing(name):
            used = self.read(name)
            if used is None or not used.before:
                why = "there is no version before it" if used else "it is not installed"
                raise Refused(f"{name}: {why}", os.EX_NOINPUT)
            folder = self.folder(name)
            _point(folder, used.before[-1])
            shutil.rmtree(used.folder)
            return self._used(name)

    def _used(self, name: str) -> Installed:
        used = self.read(name)
        if used is None:
            raise Refused(f"{name} was removed meanwhile", os.EX_TEMPFAIL)
        return used

    def remove(self, name: str) -> None:
        """Delete a model with all its versions. Raises ``Refused`` where there is none."""
        folder = self.folder(name)
        if not folder.is_dir():
            raise Refused(f"{name} is not installed", os.EX_NOINPUT)
        gone = folder.with_name(f".{name}.removed")
        try:
            make_folder(self._state_dir, self._root.name)
            shutil.rmtree(gone, ignore_errors=True)
            folder.rename(gone)  # at once; a pipeline finds all of it or nothing
            shutil.rmtree(gone)
        except OSError as error:
            raise model_folders.refused(self._root, error) from None


def make_folder(state_dir: Path, name: str) -> Path:
    """Make a folder in STATE_DIR/models, and return it.

    Raises:
        Refused: this is root, and others could put links there.
        OSError: it cannot be made.
    """
    state_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    made = state_dir / "models" / name
    for folder in (state_dir, made.parent, made):
        folder.mkdir(mode=0o755, exist_ok=True)
        status = folder.lstat()
        if os.geteuid() == 0 and (status.st_uid != 0 or folder.is_symlink()):
            what = f"{folder} does not belong to root, so a link there could lead root elsewhere"
            raise Refused(f"{what}; run this as its owner, or chown root {folder}", os.EX_NOPERM)
    return made


def _versions(folder: Path) -> list[int]:
    """Return the numbers of the versions in a folder, oldest first."""
    return sorted(int(entry.name) for entry in folder.iterdir() if re.fullmatch(r"[0-9]{4,9}", entry.name))


def _small(path: Path) -> bytes:
    with open_regular(path) as file:
        return file.read(_MOST)


def _point(folder: Path, version: int) -> None:
    following = folder / f".{_CURRENT}.next"
    write_flushed(following, f"{version}\n".encode(), 0o644)
    following.rename(folder / _CURRENT)
    flush(folder)
