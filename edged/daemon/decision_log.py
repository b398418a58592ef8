"""The log of decisions that ``edged log`` shows: two files of JSON lines in the state directory.

```
 EventPublisher ─┐                        decisions.jsonl    the newer half
 switches ───────┼─ queue ─▶ thread ──▶   decisions.jsonl.1  the older one; dropped as a whole
 start, stop ────┘
```

Main only puts an object into a queue; the thread formats and writes. So neither a slow card nor a full disk
holds up an event, and what a line needs is in the kernel's hands a moment later, where no kill takes it
back. A power cut may take the last seconds: nothing here waits for the disk.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from edged.system import clock

if TYPE_CHECKING:
    from pathlib import Path

    from edged.events import Event

log = logging.getLogger(__name__)

NAME, OLDER = "decisions.jsonl", "decisions.jsonl.1"
KEPT = frozenset({"start", "change", "end"})  # types of events
MOST_WAITING = 4096
MODE = 0o640  # it has what a camera showed, and when: not for every user of the machine
_LEFT_OUT = (
    "v",
    "node",
    "top",
    "boxes",
    "captured_at",
    "model",
    "accelerator",
    "degraded",
    "latency_ms",
    "replayed",
    "readings",
    "network",
)
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Note(NamedTuple):
    """Something other than a decision.

    Attributes:
        type: ``started`` or ``stopped`` (edged), ``on`` or ``off`` (a pipeline was switched).
        pipeline: the pipeline that was switched.
        at: the time, s since 1970.
    """

    type: str
    pipeline: str
    at: float


class DecisionLog:
    """Keeps the last decisions. A failure is logged once and harms nothing else.

    Args:
        folder: the state directory.
        max_mb: the size of both files together; 0: keep nothing, and remove what is there.
    """

    def __init__(self, folder: Path, max_mb: float) -> None:
        self._newer, self._older = folder / NAME, folder / OLDER
        self._half = int(max_mb * 500_000)
        self._waiting: queue.Queue[Event | Note | None] = queue.Queue(MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._lost = 0  # since the last line that was written
        self._failed = False
        if not self._half:
            self._remove()

    def resize(self, max_mb: float) -> None:
        """Change the size; see the class."""
        self._half = int(max_mb * 500_000)
        if not self._half:
            self._remove()

    def add(self, event: Event) -> None:
        """Keep an event that is a decision; never waits."""
        if event.type in KEPT:
            self._put(event)

    def note(self, kind: str, pipeline: str = "") -> None:
        """Keep what is not a decision: see :class:`Note`; never waits."""
        self._put(Note(kind, pipeline, clock.wall()))

    def close(self, timeout_s: float) -> None:
        """Write what waits, in that time; harmless when called twice."""
        if self._thread is not None:
            try:
                self._waiting.put(None, timeout=timeout_s)
            except queue.Full:
                return  # the disk hangs; the thread ends with the process
            self._thread.join(timeout_s)
            self._thread = None

    def _put(self, item: Event | Note) -> None:
        if not self._half:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_all, name="decision-log", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait(item)
        except queue.Full:
            self._lost += 1

    # In the thread.

    def _write_all(self) -> None:
        while (item := self._waiting.get()) is not None:
            lost, self._lost = self._lost, 0
            lines = (
                [_line({"ts": clock.rfc3339(clock.wall()), "type": "lost", "count": lost})] if lost else []
            )
            try:
                self._write(b"".join([*lines, _line(_data(item))]))
            except OSError as error:
                if not self._failed:
                    why = (error.strerror or str(error)).lower()
                    log.warning("decisions are not kept in %s: %s", self._newer, why)
                self._failed = True
            except Exception:
                log.exception("a defect in the log of decisions")
            else:
                self._failed = False

    def _write(self, lines: bytes) -> None:
        """Append whole lines, to the other file first where this one is full. Raises ``OSError``."""
        half = self._half
        if not half:
            return
        descriptor = os.open(self._newer, _FLAGS, MODE)
        try:
            size = os.fstat(descriptor).st_size
            if size and size + len(lines) > half:
                os.close(descriptor)
                descriptor = -1
                self._newer.replace(self._older)
                descriptor = os.open(self._newer, _FLAGS, MODE)
            # A line that a power cut or a full disk cut off ends here: a reader leaves it out.
            torn = size and not self._ends_whole()
            os.write(descriptor, b"\n" + lines if torn else lines)
        finally:
            if descriptor >= 0:
                os.close(descriptor)

    def _ends_whole(self) -> bool:
        with self._newer.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            return not end or os.pread(file.fileno(), 1, end - 1) == b"\n"

    def _remove(self) -> None:
        for path in (self._newer, self._older):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.warning("%s cannot be removed: %s", path, (error.strerror or str(error)).lower())


def _data(item: Event | Note) -> dict[str, Any]:
    """Return a line's data: of an event without what only programs on MQTT need."""
    if isinstance(item, Note):
        pipeline = {"pipeline": item.pipeline} if item.pipeline else {}
        return {"ts": clock.rfc3339(item.at), "type": item.type, **pipeline}
    payload = item.payload()
    first = {"ts": payload.pop("ts"), "type": payload.pop("type")}
    return first | {key: value for key, value in payload.items() if key not in _LEFT_OUT}


def _line(data: dict[str, Any]) -> bytes:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
