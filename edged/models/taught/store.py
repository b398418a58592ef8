"""Taught models on disk, one folder for each.

::

    STATE_DIR/models/taught/NAME/
        embedder.tflite     makes the features; not there for text
        head                the newest version, which pipelines run
        versions/0007       it and those before it, for --undo; the last that is not a correction stays
        pictures/LABEL/     what a camera showed; only where edged teach --keep asked for that

A version is written beside the others, flushed to the disk and renamed; ``head`` is a second name of it,
which replaces the one before in one step. So whatever happens meanwhile, a pipeline finds a whole head.
Everything is for its owner alone, which is the owner of the state directory, whoever teaches; root acts as
that user, so no link that lies there leads it elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from typing import TYPE_CHECKING

from edged.errors import ModelError, Refused
from edged.models import model_folders
from edged.models.taught import head_file
from edged.system.files import flush, write_flushed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edged.models.taught.head_file import HeadFile

KEPT = 10  # versions
EMBEDDER, HEAD, PICTURES = "embedder.tflite", "head", "pictures"
NAME = re.compile(r"[a-z0-9-]{1,32}")
_VERSIONS = "versions"


class Store:
    """The taught models of a state directory.

    Args:
        state_dir: the state directory.
    """

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._root = state_dir / "models" / "taught"

    def folder(self, name: str) -> Path:
        """Return the folder of a model, which may not exist. Raises ``Refused`` for a name that none has."""
        if not NAME.fullmatch(name):
            raise Refused(f"'{name}': a name has 1 to 32 characters of a-z, 0-9 and -", os.EX_USAGE)
        return self._root / name

    def names(self) -> list[str]:
        """Return the names of all models, sorted. Raises ``Refused`` where this user may not see them."""
        return model_folders.names(self._root, NAME, HEAD)

    def read(self, name: str) -> HeadFile | None:
        """Return the head of a model; None where there is no such model.

        Raises:
            ModelError: it is damaged.
            Refused: this user may not read it.
        """
        file = self.folder(name) / HEAD
        try:
            if not file.exists():
                return None
        except OSError as error:
            raise model_folders.refused(self._root, error) from None
        if not os.access(file, os.R_OK):
            raise Refused(f"{file}: this user may not read it; use sudo", os.EX_NOPERM)
        return head_file.read(file)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Make the folder of a model and keep others from writing to it meanwhile.

        Raises:
            Refused: another process writes to it, or this user may not.
        """
        folder = self.folder(name)
        try:
            self._make_root()
            with self._as_owner():
                for path in (folder, folder / _VERSIONS):
                    path.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(folder, model_folders.FOLDER)
        except OSError as error:
            raise model_folders.refused(self._root, error) from None
        with model_folders.locked(self._root, descriptor, f"another process teaches {name} just now"):
            try:
                yield folder
            finally:
                with contextlib.suppress(OSError), self._as_owner():
                    if not (folder / HEAD).exists():  # the first lesson failed
                        shutil.rmtree(folder)

    @contextlib.contextmanager
    def keeping(self, folder: Path, label: str, count: int) -> Iterator[tuple[Path, list[int]]]:
        """Make files for pictures of a label of a model that is being written; those left empty go again.

        Yields:
            Their folder, and a descriptor of each, open to write.

        Raises:
            Refused: they cannot be made.
        """
        kept = folder / PICTURES / _as_name(label)
        opened: list[tuple[Path, int]] = []
        try:
            with self._as_owner():
                for path in (kept.parent, kept):
                    path.mkdir(mode=0o700, exist_ok=True)
                stem = time.strftime("%Y%m%d-%H%M%S")
                for number in range(count):
                    file = kept / f"{stem}-{number:03}.jpg"
                    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                    opened.append((file, os.open(file, flags, 0o600)))
            yield kept, [descriptor for _, descriptor in opened]
        except OSError as error:
            raise model_folders.refused(self._root, error) from None
        finally:
            for file, descriptor in opened:
                empty = not os.fstat(descriptor).st_size
                os.close(descriptor)
                if empty:
                    with contextlib.suppress(OSError), self._as_owner():
                        file.unlink()

    def drop_pictures(self, folder: Path, label: str) -> None:
        """Delete the pictures that were kept of a label."""
        with self._as_owner():
            shutil.rmtree(folder / PICTURES / _as_name(label), ignore_errors=True)

    def put_embedder(self, folder: Path, content: bytes | memoryview) -> Path:
        """Write the embedder of a model that is being written; return its file."""
        with self._as_owner():
            _write(folder / EMBEDDER, content)
        return folder / EMBEDDER

    def put(self, folder: Path, head: HeadFile) -> None:
        """Make a head the newest version of a model that is being written."""
        file = folder / _VERSIONS / f"{head.version:04}"
        with self._as_owner():
            _write(file, head.to_bytes())
            _point(folder, file)
            for old in _outdated(_versions(folder)):
                old.unlink()

    def undo(self, name: str) -> HeadFile:
        """Take back the last lesson; return the head before it.

        Raises:
            Refused: there is no version before, or no such model.
            ModelError: the version before is damaged too.
        """
        with self.writing(name) as folder, self._as_owner():
            versions = _versions(folder)
            with contextlib.suppress(ModelError):
                current = head_file.read(folder / HEAD).version
                versions = [file for file in versions if int(file.name) <= current]
            if len(versions) < 2:
                why = "there is no version before it" if versions else "there is no such taught model"
                raise Refused(f"{name}: {why}", os.EX_NOINPUT)
            head = head_file.read(versions[-2])
            _point(folder, versions[-2])
            versions[-1].unlink()
            return head

    def remove(self, name: str) -> None:
        """Delete a model with everything that it was taught. Raises ``Refused`` where there is none."""
        folder = self.folder(name)
        try:
            if not folder.exists():
                raise Refused(f"there is no taught model {name}", os.EX_NOINPUT)
            gone = folder.with_name(f".{folder.name}.removed")
            with self._as_owner():
                shutil.rmtree(gone, ignore_errors=True)
                folder.rename(gone)  # at once; a pipeline finds all of it or nothing
                shutil.rmtree(gone)
        except OSError as error:
            raise model_folders.refused(self._root, error) from None

    def _make_root(self) -> None:
        """Make the folder of all taught models. Raises ``OSError``, also where a link leads elsewhere."""
        if os.geteuid() != 0:
            self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            return
        self._state_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        owner, at = self._state_dir.stat(), os.open(self._state_dir, model_folders.FOLDER)
        try:
            # The owner of the state directory may have put a link there, which root must not follow.
            for name, mode in (("models", 0o755), ("taught", 0o700)):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, mode, dir_fd=at)
                    os.chown(name, owner.st_uid, owner.st_gid, dir_fd=at, follow_symlinks=False)
                inner = os.open(name, model_folders.FOLDER | os.O_NOFOLLOW, dir_fd=at)
                os.close(at)
                at = inner
        finally:
            os.close(at)

    @contextlib.contextmanager
    def _as_owner(self) -> Iterator[None]:
        """Act as the owner of the state directory, where this is root: so no link there misleads it."""
        owner = self._state_dir.stat()
        if os.geteuid() != 0 or owner.st_uid == 0:
            yield
            return
        group, groups = os.getegid(), os.getgroups()
        os.setgroups([])
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(group)
            os.setgroups(groups)


def _as_name(label: str) -> str:
    """Return a label as the name of a folder: as it is, but for what a name cannot have."""
    plain = label.replace("%", "%25").replace("/", "%2F")
    return f"%2E{plain[1:]}" if plain.startswith(".") else plain


def _versions(folder: Path) -> list[Path]:
    return sorted(file for file in (folder / _VERSIONS).iterdir() if file.name.isdecimal())


def _outdated(versions: list[Path]) -> list[Path]:
    """Return the versions to delete: all but the newest, and the last one that is not a correction."""
    older = versions[:-KEPT]
    if not older or not all(map(_is_correction, versions[-KEPT:])):
        return older
    taught = next((file for file in reversed(older) if not _is_correction(file)), None)
    return [file for file in older if file != taught]


def _is_correction(file: Path) -> bool:
    try:
        history = head_file.read(file).history
    except ModelError:
        return False
    return bool(history) and history[-1].what == head_file.CORRECTED


def _point(folder: Path, file: Path) -> None:
    """Let ``head`` be another name of a version."""
    following = folder / f".{HEAD}.next"
    following.unlink(missing_ok=True)
    os.link(file, following)
    following.rename(folder / HEAD)
    flush(folder)


def _write(file: Path, content: bytes | memoryview) -> None:
    following = file.with_name(f".{file.name}.next")
    write_flushed(following, content, 0o600)
    following.rename(file)
    flush(file.parent)
