"""Does once in the fork server what every worker does at its start, so that they share what it leaves behind.

Python writes as it runs: it adapts its bytecode, fills caches, grows tables. Done before the fork, the pages
are shared; done in each worker, they are copied for each (2026-11: 3 MB of 26 a worker).
Nothing is opened: no device, no interpreter, no thread.
"""

from __future__ import annotations

import ctypes
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

import numpy as np

from edged import sources
from edged.config.pipeline import PipelineSection
from edged.config.source import SOURCES
from edged.errors import DriverError
from edged.events import Finding, ModelTag
from edged.inference.decoding.scores import ScoreDecoder
from edged.inference.preprocess import Preparer
from edged.ipc import worker_messages
from edged.models import bundled, image_classifier, loaded_model
from edged.pipeline.decision import Decision, Rules
from edged.system import clock
from edged.worker.picture_quality import Quality

_OFTEN = 20  # times, after which Python has adapted its bytecode


def warm_up() -> None:
    """Import edged's drivers and run everything of a worker that needs neither a device nor a runtime."""
    for kind in sources.own_kinds():  # others' are for the worker, since they may start threads
        try:
            SOURCES.config(kind)
        except DriverError:
            continue  # reported when a pipeline uses it
    section = PipelineSection.model_validate({"source": bundled.SOURCE})
    PipelineSection.model_validate(section.model_dump(mode="json"))
    loaded = loaded_model.load(
        bundled.MODEL, bundled.LABELS, bundled.MODEL_SHA256, inspect=image_classifier.spec
    )
    decoder = ScoreDecoder(loaded.spec, loaded.labels)
    preparer = Preparer(image_classifier.picture_input(loaded.file))
    quality, decision = Quality(), Decision(Rules())
    output = np.zeros(loaded.spec.classes, loaded.spec.outputs[0].dtype)
    for number in range(_OFTEN):
        pixels = np.full((48, 64, 3), 100 + number, np.uint8)
        frame = sources.Frame(pixels, clock.wall(), number=number)
        quality.check(frame)
        tensor = preparer.prepare(frame)
        output[number] = 200
        findings = decoder.decode([output], tensor)
        decision.update(findings, float(number))
        worker_messages.encode(_outcome(findings[0]))
    worker_messages.encode(worker_messages.Ready("warm", ModelTag("warm", "0" * 8), "litert", "cpu"))
    worker_messages.encode(worker_messages.Beat("warm", 0.0, 0.0, 0.0, 0.0, 0))


def _outcome(best: Finding) -> worker_messages.Outcome:
    return worker_messages.Outcome("warm", "start", best.label, best.score, "unknown", (best,), 0.0, 0.0)


_MADV_DONTNEED = 4
_HEAD = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \d+\s+(/.*)")


def drop_untouched() -> None:
    """Unmap what can be read again from its file: read-only mappings of which no page was ever changed."""
    libc = ctypes.CDLL(None)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    try:
        lines = Path("/proc/self/smaps").read_text("utf-8", "replace").splitlines()
    except OSError:
        return
    for start, end in untouched(lines):
        libc.madvise(start, end - start, _MADV_DONTNEED)
    libc.malloc_trim(0)


def untouched(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    """Give the address ranges that are unchanged parts of files, and resident, by smaps (proc(5))."""
    start, end, is_file, resident = 0, 0, False, False
    for line in lines:
        head = _HEAD.fullmatch(line)
        if head is not None:
            start, end = int(head[1], 16), int(head[2], 16)
            is_file, resident = "w" not in head[3] and not head[4].endswith("(deleted)"), False
        elif line[:1].islower() or line[:1].isdigit():
            is_file = False  # a mapping of no file
        elif line.startswith("Rss:"):
            resident = _kb(line) > 0
        elif line.startswith("Anonymous:") and is_file and resident and _kb(line) == 0:
            yield start, end


def _kb(line: str) -> int:
    return int(line.split()[1])
