"""Installs a model by name: gets it, checks it, tries it in a worker's process, and only then uses it."""

from __future__ import annotations

import hashlib
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edged.config import loader, root
from edged.errors import ConfigError, ModelError, Refused
from edged.ipc.bench_request import NOISE, BenchRequest
from edged.models import bundled, by_input, catalogue, loaded_model, runtimes
from edged.models import labels as label_files
from edged.models.installed import About, Store, digest
from edged.models.taught import embedder
from edged.models.tflite import file as tflite_file
from edged.system.child import ChildFailed
from edged.system.files import copy_regular
from edged.tools.bench import rounds
from edged.tools.models.download import STALL_S, Download
from edged.tools.models.publishers import Publishers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from edged.models.catalogue import Entry
    from edged.models.installed import Installed
    from edged.models.tflite.file import ModelFile
    from edged.tools.models.download import Watcher

MOST_BYTES = 256 * 1024 * 1024
SELF_TEST_S = 0.5
_ADDRESS = ("http://", "https://")
_SHOWN = 5  # labels in a sentence
_WHY_NOT = {
    "audio": "a model of keywords has no labels in it: download it, write model.file and model.labels, and "
    "source.features: micro (docs/sound.md)",
}


@dataclass(frozen=True)
class Wish:
    """What the command line asks for.

    Attributes:
        source: a name of the catalogue, an address, or a file.
        name: the name to install it under; empty: that of the catalogue, or the stem of the file.
        sha256: the checksum that the file must have; empty: that of the catalogue.
        labels: a label file to install with it; None: the labels are packed in it.
        trust_first_use: accept what comes where nobody knows the checksum.
        other_labels: accept that labels of the version before are gone.
        budget_ms: the longest median of the self-test; None: any.
    """

    source: str
    name: str = ""
    sha256: str = ""
    labels: Path | None = None
    trust_first_use: bool = False
    other_labels: bool = False
    budget_ms: float | None = None


class Installer:
    """Installs models in a state directory.

    Args:
        state_dir: the state directory.
        watcher: hears how it goes.
        entries: the catalogue.
        stall_s: the longest silence of a server.
    """

    def __init__(
        self,
        state_dir: Path,
        watcher: Watcher,
        entries: Mapping[str, Entry] | None = None,
        stall_s: float = STALL_S,
    ) -> None:
        self.store = Store(state_dir)
        self._watcher = watcher
        self._entries = catalogue.entries() if entries is None else entries
        self._stall_s = stall_s

    def add(self, wish: Wish) -> Installed:
        """Install a model; where anything fails, the version before stays in use.

        Raises:
            Refused: it cannot be had or stored, or is not what it should be.
            ModelError: edged cannot run it.
        """
        if wish.source in bundled.NAMES and not os.path.lexists(wish.source):
            raise Refused(f"{wish.source} comes with edged: model: {{name: {wish.source}}}", os.EX_USAGE)
        entry = self._entry(wish)
        name = wish.name or (entry.name if entry else Path(wish.source.rstrip("/")).name)
        name = name.removesuffix(".tflite")
        if name in bundled.NAMES:
            raise Refused(f"{name} comes with edged: choose another name (--name)", os.EX_USAGE)
        sha256 = _expected(wish, entry)
        with self.store.writing(name) as folder:
            before = self.store.read(name)
            if before is not None and _is(before, sha256, wish.labels):
                self._watcher.note(f"{name}: this version is installed already")
                return before
            file = folder / f"{name}.tflite"
            origin = self._get(wish, entry, name, file, sha256)
            labels = self._labels(wish, folder / f"{name}.txt")
            embeds = entry is not None and entry.task == catalogue.EMBEDS
            model, known = self._checked(file, labels, wish.source, embeds=embeds)
            self._compare(wish, name, before, known)
            latency_ms = self._try(model, known, wish)
            about = About(
                model.sha256, digest(labels) if labels else "", origin, time.time(), round(latency_ms, 3)
            )
            return self.store.put(folder, name, about)

    def _entry(self, wish: Wish) -> Entry | None:
        """Return the entry of the catalogue that is meant; None for a file or an address."""
        entry = self._entries.get(wish.source)
        if entry is not None:
            usable = entry.task in {*catalogue.RUNS, catalogue.EMBEDS}
            why = entry.unusable or _WHY_NOT.get(
                entry.task, f"no pipeline of edged runs models for {entry.task}"
            )
            if entry.unusable or not usable:
                raise Refused(f"{entry.name}: {why}", os.EX_DATAERR)
            if not (entry.sha256 or wish.sha256 or wish.trust_first_use):
                raise Refused(_unpinned(entry.name), os.EX_NOPERM)
            return entry
        if wish.source.startswith(_ADDRESS):
            if not (wish.sha256 or wish.trust_first_use):
                raise Refused(_unpinned(wish.source), os.EX_NOPERM)
        elif not os.path.lexists(wish.source):
            what = "no such file, and no such name in the catalogue (edged models list)"
            raise Refused(f"{wish.source}: {what}", os.EX_NOINPUT)
        return None

    def _get(self, wish: Wish, entry: Entry | None, name: str, file: Path, sha256: str) -> str:
        """Bring the file, and compare its checksum; return where it came from."""
        url = entry.url if entry else wish.source if wish.source.startswith(_ADDRESS) else ""
        if not url:
            _copy(Path(wish.source), file)
        else:
            part = self.store.part(name)
            if not sha256:
                part.unlink(missing_ok=True)  # nothing would tell the parts of two files
            size = entry.bytes if entry else 0
            Download(url, part, MOST_BYTES, size, self._stall_s).run(self._watcher)
            part.rename(file)
        found = digest(file)
        if sha256 and found != sha256:
            raise Refused(f"{url or wish.source}: its SHA-256 is {found}, not {sha256}", os.EX_DATAERR)
        if entry and entry.git_blob and _git_blob(file) != entry.git_blob:
            raise Refused(f"{url}: it is not the file that git has there", os.EX_DATAERR)
        if not sha256 and url:
            self._watcher.note(f"{name}: nobody vouches for this file; its SHA-256 is {found}")
        return url or str(Path(wish.source).absolute())

    def _labels(self, wish: Wish, to: Path) -> Path | None:
        if wish.labels is None:
            return None
        _copy(wish.labels, to)
        return to

    def _checked(
        self, file: Path, labels: Path | None, said: str, *, embeds: bool
    ) -> tuple[ModelFile, tuple[str, ...]]:
        """Return the model and its labels: none where it makes features.

        Raises:
            ModelError: edged cannot run it.
        """
        try:
            model = tflite_file.read(file)
            if embeds:
                embedder.spec(model)
                return model, ()
            spec = by_input.spec(model)
            given = label_files.load(labels) if labels is not None else None
            return model, loaded_model.labels_of(model, spec, given, str(labels or file))
        except ModelError as error:
            raise ModelError(str(error).replace(str(file), said)) from None

    def _compare(self, wish: Wish, name: str, before: Installed | None, known: Sequence[str]) -> None:
        """Refuse a new version that cannot say what the version before could."""
        if before is None or wish.other_labels:
            return
        try:
            labels = labels_of(before)
        except ModelError:
            return  # the version before is damaged
        gone = [label for label in labels if label not in set(known)]
        if gone:
            more = f" and {len(gone) - _SHOWN} more" if len(gone) > _SHOWN else ""
            said = ", ".join(gone[:_SHOWN]) + more
            what = f"the new version cannot say {said}; the version before stays (--other-labels accepts it)"
            raise Refused(f"{name}: {what}", os.EX_DATAERR)

    def _try(self, model: ModelFile, labels: tuple[str, ...], wish: Wish) -> float:
        """Run the model as a worker does, on photographs, noise or a sentence; return its median in ms."""
        photographs = tuple(map(str, sorted(bundled.PHOTOS.glob("*.jpg"))))
        pictures = (NOISE,) if by_input.needs_no_file(model) else photographs
        request = BenchRequest(
            model=str(model.path.absolute()),
            sha256=model.sha256,
            labels=labels,
            pictures=pictures,
            answers=tuple(labels[:1] * len(pictures)),  # so that the scores are decoded too
            runtime=runtimes.choose("auto"),
            threads=runtimes.default_threads(),
            seconds=SELF_TEST_S,
        )
        try:
            found: dict[str, Any] = rounds.ask(request, lambda _part: None)
        except ChildFailed as failed:
            said = str(failed).removeprefix(f"{model.path}: ")
            raise Refused(f"{wish.source}: the self-test failed: {said}", os.EX_DATAERR) from None
        median: float = statistics.median(found["invoke_ms"])
        if wish.budget_ms is not None and median > wish.budget_ms:
            what = f"it takes {median:.2f} ms on this board, more than {wish.budget_ms:g} ms"
            raise Refused(f"{wish.source}: {what}; nothing was changed", os.EX_DATAERR)
        return median


def _expected(wish: Wish, entry: Entry | None) -> str:
    """Return the checksum that the file must have; empty: nobody knows it. Raises ``Refused``."""
    if entry is not None or wish.source.startswith(_ADDRESS):
        return wish.sha256 or (entry.sha256 if entry else "")
    try:
        found = digest(Path(wish.source))
    except OSError as error:
        raise Refused(f"{wish.source}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None
    if wish.sha256 and wish.sha256 != found:
        raise Refused(f"{wish.source}: its SHA-256 is {found}, not {wish.sha256}", os.EX_DATAERR)
    return found


def _is(before: Installed, sha256: str, labels: Path | None) -> bool:
    """Return whether a version that is installed, undamaged, is the one that is asked for."""
    same = labels is None or digest(labels) == before.about.labels_sha256
    return before.about.sha256 == sha256 and same and not before.damage()


def labels_of(installed: Installed) -> tuple[str, ...]:
    """Return what an installed model can say. Raises ``ModelError`` where it is damaged."""
    given = label_files.load(installed.labels) if installed.labels is not None else None
    model = tflite_file.read(installed.file)
    spec = by_input.spec(model)
    return loaded_model.labels_of(model, spec, given, str(installed.labels or installed.file))


def state_dir(config: Path, *, given: bool) -> Path:
    """Return the state directory that a configuration names, or the default.

    Args:
        config: the configuration.
        given: the command line names it, so it has to exist.

    Raises:
        ConfigError: it cannot be read, or is not YAML.
    """
    return loader.state_dir(config) if given or os.access(config, os.R_OK) else root.state_dir()


def publishers(config: Path, folder: Path, *, given: bool) -> Publishers:
    """Return the signed catalogues that a configuration names.

    Args:
        config: the configuration.
        folder: the state directory.
        given: the command line names the configuration, so it has to exist.

    Raises:
        ConfigError: that section is wrong, or the file is not YAML.
    """
    sections = loader.catalogues(config) if given or os.access(config, os.R_OK) else {}
    return Publishers(sections, folder)


def in_use(config: Path, folder: Path) -> list[str]:
    """Return the pipelines of a configuration that use the model in a folder; none where it is wrong."""
    try:
        pipelines = loader.load(config).pipelines
    except ConfigError:
        return []
    return [name for name, p in pipelines.items() if p.model.file and folder in p.model.file.parents]


def _unpinned(what: str) -> str:
    return (
        f"{what}: nobody has computed its checksum; write --sha256, or --trust-first-use to take what comes "
        "and keep its checksum"
    )


def _copy(path: Path, to: Path) -> None:
    try:
        copy_regular(path, to, MOST_BYTES)
    except OSError as error:
        raise Refused(f"{path}: {(error.strerror or str(error)).lower()}", os.EX_NOINPUT) from None


def _git_blob(file: Path) -> str:
    """Return git's checksum of a file."""
    content = file.read_bytes()
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
