"""The messages on the pipe between a worker and main: small JSON objects, one per datagram, at most 8 KiB.

```
 main ──order────▶ fork server ──▶ worker
 main ──commands─▶ worker             infer · arm · disarm · features, as text: "pipeline verb"
 main ◀─reports─── worker             labels · ready · note · running · outcome · beat · fault · held · done ·
                                      features · ended
```

The pipe is a SOCK_SEQPACKET socket pair, so a message is a datagram and there is no framing to get wrong. A
worker is not trusted: whatever it sends is parsed here, bounded and typed, or refused with
:class:`~edged.ipc.codec.WireError`. What a message may say of its pipeline, and how often, is for
:mod:`edged.supervisor.report_screen`; at worst a worker can lie about which of its labels it sees.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from edged.events import (
    ACCELERATORS,
    MAX_BYTES,
    MAX_READINGS,
    MOST_BOXES,
    MOST_CLOSER,
    MOST_OBJECTS,
    Attached,
    Box,
    Detection,
    Finding,
    ModelTag,
)
from edged.ipc import codec
from edged.ipc.codec import Codec
from edged.ipc.readings_page import LONGEST_UNIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

LONGEST_NAME = 32
LONGEST_LABEL = 128
LONGEST_SENTENCE = 400
MOST_FEATURES = 2048  # float16 numbers in one message
LONGEST_FEATURES = 6000  # characters of them in base64
MOST_FINDINGS = 10
_MOST_REASONS = 16
_FOUND_BYTES = 4000  # of what was found in one picture
_PLACE_BYTES = 64  # of one score and box, rounded
_DIGITS = 4
_LABELS_BYTES = MAX_BYTES - 256  # of the labels in one message
TYPES = frozenset({"start", "change", "end", "heartbeat", "result"})
RUNTIMES = frozenset({"litert", "tflite-runtime", "numpy"})
KINDS = frozenset({"source", "picture", "model", "driver", "accelerator", "isolation", "defect"})


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is open and the isolation is in place; no frame was classified yet.

    Attributes:
        runtime: litert | tflite-runtime | numpy.
        accelerator: cpu | edgetpu | external.
        degraded: whether it runs otherwise than configured.
        network: whether the worker keeps the network.
        isolation: the walls in place: ``seccomp``, ``netns``.
    """

    pipeline: str
    model: ModelTag
    runtime: str
    accelerator: str
    degraded: bool = False
    network: bool = False
    isolation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """A part of the labels that the pipeline may decide: those that only the worker has read, before Ready.

    Main takes no other label from then on.

    Attributes:
        first: how many labels came before.
        total: how many there are in all.
    """

    pipeline: str
    first: int
    total: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """A frame was classified: the first one, or the first one after a fault.

    Attributes:
        view: how much the camera's mode shows of the sensor's width and height, each 1 at most; empty where
            that is everything, or unknown.
    """

    pipeline: str
    view: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """News of the decision, or (type ``result``) one inference.

    Attributes:
        type: start | change | end | heartbeat | result.
        captured_at, decided_at: wall clock, s since 1970.
        capture_ms, invoke_ms: the time to read and prepare this frame, and to run the model on it.
        frame: the frame's number, where the source numbers its frames.
        readings: the sensor readings attached to it.
        count, zone: how many of the label there are, and in which zone, where the pipeline decides by label;
            None and empty otherwise.
        boxes: where they are; None: that is not to be published.
        then: what the second model says of them.
        found: instead of ``top``, all that was found, best first: in a result of a pipeline that decides by
            label, for a person who looks (``edged page``); else empty.
    """

    pipeline: str
    type: str
    label: str
    score: float
    previous: str
    top: tuple[Finding, ...]
    captured_at: float
    decided_at: float
    capture_ms: float = 0.0
    invoke_ms: float = 0.0
    frame: int | None = None
    readings: tuple[Attached, ...] = ()
    count: int | None = None
    zone: str = ""
    boxes: tuple[Box, ...] | None = None
    then: tuple[Finding, ...] = ()
    found: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Beat:
    """Counters since the worker started, about once a second.

    Attributes:
        fps: frames classified per second, recently.
        capture_ms: the median time to read and prepare a frame.
        invoke_p50_ms, invoke_p95_ms: the median and the 95th percentile of the time to run the model.
        frames: frames classified.
        dropped: frames not classified, by reason.
        moves: whether something moves, so that frames are classified; None: there is no motion gate.
    """

    pipeline: str
    fps: float
    capture_ms: float
    invoke_p50_ms: float
    invoke_p95_ms: float
    frames: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    moves: bool | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something is wrong.

    Attributes:
        kind: source | picture | model | driver | accelerator | isolation | defect.
        reason: a word for programs.
        message: a sentence for people.
    """

    pipeline: str
    kind: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Held:
    """The source is open, and frames are not classified because the pipeline's gate is closed.

    Attributes:
        held_by: the condition that keeps the gate closed, in a few words; empty where it is open.
    """

    pipeline: str
    held_by: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something that a person should know, and that keeps nothing from working; after Ready.

    Attributes:
        reason: a word for programs.
        message: a sentence for people.
    """

    pipeline: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """A sample was judged whose place main remembers (:mod:`edged.sources.progress`).

    Attributes:
        mark: the sample's mark, or its place in a recording.
        changed_s: when its file was last changed, s since 1970.
        each: every one is remembered, not only the last.
        number: how many samples there were, with this one.
    """

    pipeline: str
    mark: int
    changed_s: float
    each: bool
    number: int


@dataclass(frozen=True, slots=True)
class Features:
    """What a taught model sees in the last picture, because main asked for it.

    Attributes:
        values: float16 numbers in base64; empty: no picture was judged yet.
    """

    pipeline: str
    values: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A finite source gave its last sample, and all samples were classified."""

    pipeline: str


Report = Ready | Labels | Running | Outcome | Beat | Fault | Held | Note | Done | Features | Ended


def _finding(value: Any) -> Finding:
    if not isinstance(value, list) or len(value) != 2:
        raise codec.expected("label and score")
    return Finding(_label(value[0]), _score(value[1]))


def _unit(value: Any) -> str:
    unit = codec.text(LONGEST_UNIT, empty=True)(value)
    if len(unit.encode()) > LONGEST_UNIT:
        raise codec.expected(f"a unit of at most {LONGEST_UNIT} bytes")
    return unit


def _attached(value: Any) -> Attached:
    if not isinstance(value, list) or len(value) != 5:
        raise codec.expected("a reading")
    name, reading, unit, quality, age_s = value
    return Attached(_path(name), codec.measured(reading), _unit(unit), codec.quality(quality), _ms(age_s))


def _tag(value: Any) -> ModelTag:
    if not isinstance(value, list) or len(value) != 2:
        raise codec.expected("name and checksum")
    checksum = codec.text(8)(value[1])
    if not all(c in "0123456789abcdef" for c in checksum):
        raise codec.expected("hex digits")
    return ModelTag(codec.text(64)(value[0]), checksum)


def _dropped(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or len(value) > _MOST_REASONS:
        raise codec.expected(f"at most {_MOST_REASONS} reasons")
    return {_word(reason): codec.count(number) for reason, number in value.items()}


def _moves(value: Any) -> bool | None:
    return None if value is None else codec.flag(value)


def _frame(value: Any) -> int | None:
    return None if value is None else codec.count(value)


_word = codec.text(LONGEST_NAME)
_label = codec.text(LONGEST_LABEL)
_path = codec.text(65)  # sensor/channel
_sentence = codec.text(LONGEST_SENTENCE, empty=True)
_score = codec.number(1.0)
_ms = codec.number(1e9)


def _count(value: Any) -> int | None:
    return None if value is None else int(codec.number(MOST_OBJECTS)(codec.count(value)))


def _box(value: Any) -> Box:
    edges = codec.list_of(_score, 4)(value)
    if len(edges) != 4 or edges[0] > edges[2] or edges[1] > edges[3]:
        raise codec.expected("a box")
    return edges[0], edges[1], edges[2], edges[3]


def _boxes(value: Any) -> tuple[Box, ...] | None:
    return None if value is None else codec.list_of(_box, MOST_BOXES)(value)


def _found(value: Any) -> Finding:
    if not isinstance(value, list) or len(value) != 3:
        return _finding(value)
    plain = _finding(value[:2])
    return Detection(plain.label, plain.score, _box(value[2]))


def _view(value: Any) -> tuple[float, ...]:
    parts = codec.list_of(_score, 2)(value)
    if len(parts) == 1:
        raise codec.expected("width and height, or nothing")
    return parts


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "pipeline": _word,
    "model": _tag,
    "runtime": codec.one_of(RUNTIMES),
    "accelerator": codec.one_of(ACCELERATORS),
    "degraded": codec.flag,
    "network": codec.flag,
    "isolation": codec.isolation,
    "first": codec.count,
    "total": codec.count,
    "labels": codec.list_of(_label, MAX_BYTES),
    "type": codec.one_of(TYPES),
    "label": _label,
    "score": _score,
    "previous": _label,
    "top": codec.list_of(_finding, MOST_FINDINGS),
    "captured_at": codec.time,
    "decided_at": codec.time,
    "capture_ms": _ms,
    "invoke_ms": _ms,
    "frame": _frame,
    "readings": codec.list_of(_attached, MAX_READINGS),
    "fps": codec.number(1e6),
    "invoke_p50_ms": _ms,
    "invoke_p95_ms": _ms,
    "frames": codec.count,
    "dropped": _dropped,
    "moves": _moves,
    "kind": codec.one_of(KINDS),
    "reason": _word,
    "message": _sentence,
    "held_by": _sentence,
    "mark": codec.count,
    "changed_s": codec.time,
    "each": codec.flag,
    "number": codec.count,
    "view": _view,
    "count": _count,
    "zone": codec.text(LONGEST_NAME, empty=True),
    "boxes": _boxes,
    "then": codec.list_of(_finding, MOST_CLOSER),
    "found": codec.list_of(_found, MOST_OBJECTS),
    "values": codec.matching(rf"[A-Za-z0-9+/]{{0,{LONGEST_FEATURES}}}={{0,2}}", "base64"),
}
CODEC: Codec[Report] = Codec(
    (Ready, Labels, Running, Outcome, Beat, Fault, Held, Note, Done, Features, Ended),
    _PARSERS,
    max_bytes=MAX_BYTES,
    sentences={"message", "held_by"},
    longest_sentence=LONGEST_SENTENCE,
)
encode, decode = CODEC.encode, CODEC.decode


def that_fit(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the first findings, as many as fit into a message."""
    fit, room = list[Finding](), _FOUND_BYTES
    for finding in findings[:MOST_OBJECTS]:
        room -= len(json.dumps(finding.label, ensure_ascii=False).encode(errors="replace")) + _PLACE_BYTES
        if room < 0:
            break
        fit.append(_shortened(finding))
    return tuple(fit)


def _shortened(finding: Finding) -> Finding:
    score = round(finding.score, _DIGITS)
    if not isinstance(finding, Detection):
        return Finding(finding.label, score)
    x0, y0, x1, y1 = (round(edge, _DIGITS) for edge in finding.box)
    return Detection(finding.label, score, (x0, y0, x1, y1))


def in_parts(pipeline: str, labels: Sequence[str]) -> Iterator[Labels]:
    """Yield the messages that give main these labels; each fits into a datagram."""
    first, part, room = 0, list[str](), _LABELS_BYTES
    for number, label in enumerate(labels):
        size = len(json.dumps(label, ensure_ascii=False).encode(errors="replace")) + 1
        if size > room:
            yield Labels(pipeline, first, len(labels), tuple(part))
            first, part, room = number, [], _LABELS_BYTES
        part.append(label)
        room -= size
    yield Labels(pipeline, first, len(labels), tuple(part))
