"""Parses what comes back from the disk: a row is sent only if it is an event, or a record of the spool.

The state directory may have been written by somebody else. A checksum shows that a row is whole, not that it
is edged's: what is published is what these parsers accept, as they understood it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from edged.events import (
    ACCELERATORS,
    BOX_DIGITS,
    MAX_BYTES,
    MAX_READINGS,
    MOST_BOXES,
    MOST_CLOSER,
    MOST_OBJECTS,
    VERSION,
)
from edged.ipc import codec, worker_messages
from edged.ipc.codec import WireError
from edged.ipc.readings_page import LONGEST_UNIT
from edged.spool.ledger import REASONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from edged.spool.entry import Entry

    Parser = Callable[[Any], Any]
    ObjectParser = Callable[[Any], dict[str, Any]]

_NAME, _ID = "[a-z0-9-]{1,32}", "[a-z0-9-]{1,32}/[0-9a-f]{1,32}/[1-9][0-9]{0,18}"
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z"
_TYPES = worker_messages.TYPES - {"result"}  # a result is never queued


class BadPayloadError(ValueError):
    """The payload of a row is not what edged writes."""


def _constant(wanted: object) -> Parser:
    def parse(value: Any) -> object:
        if type(value) is not type(wanted) or value != wanted:
            raise codec.expected(repr(wanted))
        return wanted

    return parse


def _object(parsers: Mapping[str, Parser], optional: frozenset[str] = frozenset()) -> ObjectParser:
    """Return a parser of an object with these fields, in this order, and no others."""
    required = frozenset(parsers.keys() - optional)

    def parse(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict) or not required <= value.keys() <= parsers.keys():
            raise codec.expected("an object with these fields")
        return {name: parse(value[name]) for name, parse in parsers.items() if name in value}

    return parse


def _rounded(most: float, digits: int) -> Parser:
    """Return a parser of a number with as many decimals as an event has."""
    parse = codec.number(most)
    return lambda value: round(parse(value), digits)


_name = codec.matching(_NAME, "a name")
_channel = codec.matching(r"[a-z0-9-]{1,32}(/[a-z0-9_]{1,32})?", "a sensor or a channel")
_id = codec.matching(_ID, "an id")
_time = codec.matching(_TIME, "a time")
_label, _score, _number = codec.text(worker_messages.LONGEST_LABEL), _rounded(1.0, 4), _rounded(1e9, 3)
_edge = _rounded(1.0, BOX_DIGITS)
_model = _object({"name": codec.text(128), "sha256": codec.matching("[0-9a-f]{8}", "hex digits")})
_finding = _object({"label": _label, "score": _score})
_clock = codec.one_of(frozenset({"synced", "unsynced"}))
_reading = _object(
    {
        "value": codec.measured,
        "unit": codec.text(LONGEST_UNIT, empty=True),
        "quality": codec.quality,
        "age_s": _number,
    }
)


def _record(kind: str, parsers: Mapping[str, Parser]) -> ObjectParser:
    """Return a parser of a record of the spool, with the fields of its kind and those of every record."""
    return _object(
        {
            "v": _constant(VERSION),
            "id": _id,
            "type": _constant(kind),
            "node": _name,
            **parsers,
            "ts": _time,
            "clock": _clock,
            "replayed": codec.flag,
        }
    )


def _objects(value: Any) -> int:
    return int(codec.number(MOST_OBJECTS)(codec.count(value)))


def _box(value: Any) -> tuple[float, ...]:
    edges = codec.list_of(_edge, 4)(value)
    if len(edges) != 4:
        raise codec.expected("a box")
    return edges


def _readings(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_READINGS:
        raise codec.expected("readings")
    return {_channel(name): _reading(reading) for name, reading in value.items()}


parse_event = _object(
    {
        "v": _constant(VERSION),
        "id": _id,
        "type": codec.one_of(_TYPES),
        "node": _name,
        "pipeline": _name,
        "label": _label,
        "score": _score,
        "previous": _label,
        "top": codec.list_of(_finding, worker_messages.MOST_FINDINGS),
        "captured_at": _time,
        "ts": _time,
        "clock": _clock,
        "model": _model,
        "accelerator": codec.one_of(ACCELERATORS),
        "degraded": codec.flag,
        "latency_ms": _number,
        "replayed": codec.flag,
        "frame": codec.count,
        "network": _constant(True),
        "count": _objects,
        "zone": _name,
        "boxes": codec.list_of(_box, MOST_BOXES),
        "then": codec.list_of(_finding, MOST_CLOSER),
        "readings": _readings,
    },
    frozenset({"frame", "network", "count", "zone", "boxes", "then", "readings"}),
)
_records: dict[str, ObjectParser] = {
    "gap": _record(
        "gap",
        {"reason": codec.one_of(REASONS), "first": _id, "last": _id, "count": codec.count},
    ),
    "spool_reset": _record(
        "spool_reset",
        {
            "reason": codec.text(200),
            "salvaged": codec.count,
            "lost": lambda value: None if value is None else codec.count(value),
        },
    ),
}
# An event without readings, byte for byte as edged writes it. Nearly every row is one, and to match it is
# seven times faster than to parse it. What it does not match may still be an event.
_TEXT = r'"(?:[^"\\]|\\["\\]){1,128}"'
_SCORE, _AT = r"(?:0\.[0-9]{1,4}|1\.0)", f'"{_TIME}"'
_FINDING = rf'{{"label":{_TEXT},"score":{_SCORE}}}'
_PLAIN_EVENT = re.compile(
    rf'{{"v":{VERSION},"id":"{_ID}",'
    rf'"type":"(?:{"|".join(sorted(_TYPES))})","node":"{_NAME}","pipeline":"(?P<pipeline>{_NAME})",'
    rf'"label":{_TEXT},"score":{_SCORE},"previous":{_TEXT},"top":\[(?:{_FINDING}(?:,{_FINDING}){{0,9}})?\],'
    rf'"captured_at":{_AT},"ts":{_AT},"clock":"(?:synced|unsynced)",'
    rf'"model":{{"name":{_TEXT},"sha256":"[0-9a-f]{{8}}"}},"accelerator":"(?:cpu|edgetpu|external)",'
    r'"degraded":(?:true|false),"latency_ms":[0-9]{1,9}\.[0-9]{1,3},"replayed":(?:true|false)'
    r'(?:,"frame":[0-9]{1,15})?(?:,"network":true)?(?:,"count":(?:[0-9]{1,2}|100))?'
    rf'(?:,"zone":"{_NAME}")?}}'
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


def checked(entry: Entry) -> Entry:
    """Return a row from the disk with its payload as edged would write it now.

    Raises:
        BadPayloadError: it is not what edged writes.
    """
    try:
        if len(entry.payload) > MAX_BYTES:
            raise codec.expected(f"at most {MAX_BYTES} bytes")
        text = entry.payload.decode()
        if is_plain(text, entry.pipeline):
            return entry
        data = json.loads(text)
        fields = _event_of(data, entry.pipeline) if entry.pipeline else _record_of(data)
    except (ValueError, RecursionError, WireError) as error:
        raise BadPayloadError(str(error)) from None
    return entry._replace(payload=_ENCODER.encode(fields).encode())


def is_plain(text: str, pipeline: str) -> bool:
    """Return whether a row's text is an event of this pipeline that needs no parsing: all its bounds hold."""
    match = _PLAIN_EVENT.fullmatch(text)
    return match is not None and match["pipeline"] == pipeline and text.isprintable()


def _event_of(data: Any, pipeline: str) -> dict[str, Any]:
    fields = parse_event(data)
    if fields["pipeline"] != pipeline:
        raise codec.expected("the pipeline that the row names")
    return fields


def _record_of(data: Any) -> dict[str, Any]:
    kind = data.get("type") if isinstance(data, dict) else None
    parse = _records.get(kind) if isinstance(kind, str) else None
    if parse is None:
        raise codec.expected("an event")
    return parse(data)
