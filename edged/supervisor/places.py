"""Remembers how far each pipeline's source has come, over restarts of workers and of edged itself.

A file in the state directory has a line for each sample of a drop folder, or for the last one of any other
source: a mark, a time and a number, which only the worker can connect with a file or a frame.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from typing import TYPE_CHECKING

from edged.errors import ConfigError
from edged.sources.progress import MOST, Place, Progress
from edged.system import clock
from edged.system.files import read_regular

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.pipeline import PipelineSection
    from edged.ipc.worker_messages import Done

log = logging.getLogger(__name__)

SAVE_S = 30.0  # between two times that the place in a folder or a recording is written
_MOST_BYTES = 64 * 2 * MOST  # of a file; then only what is still known is written anew
_LEFT_OUT = (
    "interval_s",
    "rotate",
    "crop",
    "mask",
    "password_file",
    "timeout_s",
    "transport",
)  # the samples stay the same


class _Kept:
    """One pipeline's progress, and what of it is on the disk."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.progress = Progress()
        self.saved_at = 0.0
        self.unsaved = False
        self.bytes = 0
        self.failed = False  # the last attempt to write it


class Places:
    """The progress of all pipelines."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._kept: dict[str, _Kept] = {}

    def keep_in(self, folder: Path) -> None:
        """Keep it in a folder from now on; without one, it is forgotten when this process ends."""
        self._folder = folder

    def of(self, name: str, section: PipelineSection) -> Progress:
        """Return a pipeline's progress; of another source than before, it is none."""
        source = _source(section)
        kept = self._kept.get(name)
        if kept is None or kept.source != source:
            kept = self._kept[name] = self._read(name, source)
        return kept.progress

    def done(self, report: Done) -> None:
        """Note that a sample was judged."""
        kept = self._kept.get(report.pipeline)
        if kept is None:
            return
        kept.progress.done(Place(report.mark, report.changed_s, report.each), report.number)
        kept.unsaved = True
        if report.each and kept.bytes:
            self._write(report.pipeline, kept, "a", _line(report.mark, report.changed_s, report.number))
        elif (report.each and not kept.failed) or clock.monotonic() - kept.saved_at >= SAVE_S:
            self._write(report.pipeline, kept, "w")

    def ended(self, name: str) -> None:
        """Forget how far a source had come that gave everything: it begins again."""
        kept = self._kept.get(name)
        if kept is not None:
            kept.progress = Progress()
            self._write(name, kept, "w")

    def save(self) -> None:
        """Write what is not written yet."""
        for name, kept in self._kept.items():
            if kept.unsaved:
                self._write(name, kept, "w")

    def _write(self, name: str, kept: _Kept, mode: str, text: str = "") -> None:
        if self._folder is None:
            return
        if mode == "w" or kept.bytes + len(text) > _MOST_BYTES:
            progress = kept.progress
            lines = [_line(mark, changed_s, progress.number) for mark, changed_s in progress.marks]
            mode, text = "w", "".join((f"{kept.source} {progress.floor_s:.6f}\n", *lines))
            kept.bytes = 0
        file = self._folder / name
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            written = file if mode == "a" else file.with_suffix(".next")
            with written.open(mode, encoding="ascii") as out:
                out.write(text)
            if mode == "w":
                written.replace(file)  # at once: a full disk or a power cut leaves the one before
        except OSError as error:
            self._failed(name, kept, error)
            return
        kept.bytes += len(text)
        kept.saved_at, kept.unsaved, kept.failed = clock.monotonic(), False, False

    def _failed(self, name: str, kept: _Kept, error: OSError) -> None:
        """Warn once until it can be written again, and write the whole file then."""
        kept.saved_at, kept.bytes = clock.monotonic(), 0
        if not kept.failed:
            why = (error.strerror or str(error)).lower()
            log.warning("%s: how far its source has come cannot be kept in %s: %s", name, self._folder, why)
        kept.failed = True

    def _read(self, name: str, source: str) -> _Kept:
        """Return what the state directory has; nothing where it has another source, or nonsense."""
        kept = _Kept(source)
        if self._folder is None:
            return kept
        try:
            data, _ = read_regular(self._folder / name, 2 * _MOST_BYTES)
            head, *lines = data.decode("ascii", "replace").splitlines()
            of, floor_s = head.split()
            progress = Progress(floor_s=float(floor_s))
        except (ConfigError, ValueError):
            return kept
        if of == source:
            # Without its size, the file is written anew: its last line may lack its end.
            kept.progress = progress
            for line in lines:
                _add(line, progress)
        return kept


def _add(line: str, progress: Progress) -> None:
    """Add the sample of a line; none where a power cut damaged the line."""
    with contextlib.suppress(ValueError):
        mark, changed_s, number = line.split()
        progress.done(Place(int(mark), float(changed_s), each=True), int(number))


def _line(mark: int, changed_s: float, number: int) -> str:
    return f"{mark} {changed_s:.6f} {number}\n"


def _source(section: PipelineSection) -> str:
    """Return what tells one source's samples from another's."""
    keys = section.source.model_dump(mode="json")
    about = {key: value for key, value in keys.items() if key not in _LEFT_OUT}
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
