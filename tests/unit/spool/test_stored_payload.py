"""Rows that come back from the disk are edged's, whoever wrote the file; others are dropped and counted."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.events import Finding
from edged.ipc.worker_messages import LONGEST_LABEL, Outcome, decode, encode
from edged.spool import store
from edged.spool.database import Sqlite
from edged.spool.disk import NAME, DiskSpool
from edged.spool.entry import MAX_PAYLOAD, Entry, pack
from edged.spool.gap_records import gap, reset
from edged.spool.ledger import Gap, Ledger
from edged.spool.stored_payload import BadPayloadError, checked, is_plain, parse_event
from edged.text import printable
from edged.tools.audit import audit
from unit.spool.doubles import FLUSH_S, event, until
from unit.test_events import events, schema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jsonschema import Draft202012Validator

    from edged.events import Event
    from edged.spool import Row

EVENT: Draft202012Validator = schema("event")
GAP: Draft202012Validator = schema("gap")
CASES = Path(__file__).resolve().parents[2] / "cases" / "spool"
GOOD = event("cat", "porch").with_id("n/3f9c0a/1")


def entry(payload: bytes, pipeline: str = "porch", place: int = 1) -> Entry:
    return Entry(place, pipeline, payload, 1, 1000)


@given(events().filter(lambda e: e.type != "result"))
def test_what_edged_wrote_comes_back(written: Event) -> None:
    found = checked(entry(written.to_json(), written.pipeline)).payload
    sent = written.payload()
    wanted = replace(
        written,
        label=printable(written.label),
        previous=printable(written.previous),
        top=tuple(replace(f, label=printable(f.label)) for f in written.top),
        then=tuple(replace(f, label=printable(f.label)) for f in written.then),
        model=replace(written.model, name=printable(written.model.name)),
    ).payload()
    assert json.loads(found) == wanted
    assert sent.keys() == wanted.keys()


@given(events().filter(lambda e: e.type != "result"))
def test_what_needs_no_parsing_would_pass_it_unchanged(written: Event) -> None:
    text = written.to_json().decode()
    if is_plain(text, written.pipeline):
        assert json.dumps(parse_event(json.loads(text))) == json.dumps(written.payload())


def test_the_usual_event_needs_no_parsing() -> None:
    text = GOOD.to_json().decode()
    assert is_plain(text, "porch")
    assert not is_plain(text, "yard")
    assert not is_plain(text.replace("cat", "c\u202et"), "porch")
    assert not is_plain(text.replace('"v":1,', '"v":1,"v":1,'), "porch")


@pytest.mark.parametrize(
    "record",
    [
        gap("full", Gap("n/3f9c0a/1", "n/3f9c0a/7", 7, 0.0)),
        reset("its log is damaged", 3, None),
        reset("its log is damaged", 3, 4),
    ],
)
def test_so_do_the_records_of_the_spool(record: Any) -> None:
    written = record.to_json("n", "n/3f9c0a/2", 1.7e9, synced=True)
    found = checked(entry(written, "")).payload
    assert found == written
    GAP.validate(json.loads(found))


def test_an_event_of_0_1_0_is_still_one() -> None:
    written = (
        b'{"v":1,"id":"porch-pi/fb50c63f4e64/1042","type":"start","node":"porch-pi","pipeline":"porch","label":'
        b'"Egyptian cat","score":0.7734,"previous":"unknown","top":[{"label":"Egyptian cat","score":0.7734}],'
        b'"captured_at":"2026-11-26T03:48:53.199Z","ts":"2026-11-26T03:48:53.206Z","clock":"synced","model":'
        b'{"name":"efficientnet_lite0_uint8","sha256":"35e8e20b"},"accelerator":"cpu","degraded":false,'
        b'"latency_ms":6.123,"replayed":false,"frame":3,"network":true,"readings":{"hall/lux":{"value":3.5,'
        b'"unit":"lx","quality":"good","age_s":0.123}}}'
    )
    assert json.loads(checked(entry(written)).payload) == json.loads(written)


def test_a_spool_of_0_1_0_is_sent(tmp_path: Path) -> None:
    """``0.1.0.db`` was written by edged 0.1.0: five events that no broker took."""
    shutil.copy(CASES / "0.1.0.db", tmp_path / NAME)
    spool = DiskSpool(tmp_path, "porch-pi")
    rows = _sent(spool, 5)
    counts = spool.counts()
    spool.close()
    assert [row.pipeline for row in rows] == ["porch", "porch", "yard", "porch", "porch"]
    sent = [json.loads(row.payload) for row in rows]
    for payload in sent:
        EVENT.validate(payload)
    assert [payload["type"] for payload in sent] == ["start", "change", "change", "heartbeat", "end"]
    assert (sent[1]["label"], sent[1]["frame"]) == ("café 猫", 3)
    assert (sent[2]["degraded"], sent[2]["network"]) == (True, True)
    assert sent[4]["readings"]["hall/lux"] == {"value": 3.5, "unit": "lx", "quality": "good", "age_s": 0.123}
    assert sent[4]["readings"]["door"]["value"] is True
    assert (counts.dropped, counts.balanced) == ({}, True)


def _with(**changes: Any) -> bytes:
    return json.dumps(GOOD.payload() | changes).encode()


READING = {"value": 1, "unit": "", "quality": "good", "age_s": 1}
ATTACKS = {
    "noise": os.urandom(300),
    "empty": b"",
    "not an object": b'["x"]',
    "deep": b"[" * 9000,
    "long": json.dumps({"pixels": "x" * (MAX_PAYLOAD - 100)}).encode(),
    "another shape": b'{"pixels": "eHh4"}',
    "one field more": _with(pixels="eHh4"),
    "a field less": json.dumps({k: v for k, v in GOOD.payload().items() if k != "clock"}).encode(),
    "another pipeline": _with(pipeline="yard"),
    "a topic": _with(pipeline="x/../+/#"),
    "a long label": _with(label="x" * 129),
    "many findings": _with(top=[{"label": "cat", "score": 0.5}] * 11),
    "a finding with more": _with(top=[{"label": "cat", "score": 0.5, "pixels": "x"}]),
    "an id with more": _with(id="n/3f9c0a/1/pixels"),
    "a node with more": _with(node="n/pixels"),
    "a time with more": _with(ts="2026-01-31T12:00:00.000Z pixels"),
    "a type of mine": _with(type="pixels"),
    "a result": _with(type="result"),
    "not a number": _with(score="0.5"),
    "NaN": _with(score=float("nan")),
    "another version": _with(v=2),
    "true for one": _with(v=True),
    "no network": _with(network=False),
    "a reading with more": _with(
        readings={"lux": {"value": 1, "unit": "", "quality": "good", "age_s": 1, "p": 1}}
    ),
    "a reading of mine": _with(readings={"p/i/x": {"value": 1, "unit": "", "quality": "good", "age_s": 1}}),
}


@pytest.mark.parametrize("payload", ATTACKS.values(), ids=ATTACKS)
def test_what_edged_does_not_write_is_refused(payload: bytes) -> None:
    with pytest.raises(BadPayloadError):
        checked(entry(payload))


@pytest.mark.parametrize("payload", [GOOD.to_json(), b'{"type": "gap"}', b'{"type": ["gap"]}', b"7"])
def test_a_record_of_the_spool_is_one(payload: bytes) -> None:
    with pytest.raises(BadPayloadError):
        checked(entry(payload, ""))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_in_order(payload: bytes) -> None:
    with pytest.raises(BadPayloadError):
        checked(entry(payload))


def _planted(folder: Path, rows: Iterable[tuple[str, bytes]]) -> None:
    """Write a spool as somebody who knows edged's source would."""
    folder.mkdir(exist_ok=True)
    rows = list(rows)
    ledger = Ledger("n", last=len(rows), epochs=[(1, "3f9c0a")], clean=True)
    entries = (pack(Entry(place, name, data, 0, 0)) for place, (name, data) in enumerate(rows, 1))
    store.fill(folder / NAME, Sqlite, ledger, entries)


def _sent(spool: DiskSpool, count: int) -> list[Row]:
    rows: list[Row] = []

    def come() -> bool:
        rows.extend(spool.pending(20))
        return len(rows) >= count and not spool.pending(1)

    until(come, lambda: f"{len(rows)} rows")
    return rows


def test_a_planted_spool_sends_no_row_but_the_good_ones(tmp_path: Path) -> None:
    good = [GOOD.with_id(f"n/3f9c0a/{number}").to_json() for number in (1, 150, 301)]
    noise = [("porch", os.urandom(9000).hex().encode()[:14_700]) for _ in range(298)]
    _planted(
        tmp_path, [("porch", good[0]), *noise[:149], ("porch", good[1]), *noise[149:], ("porch", good[2])]
    )
    spool = DiskSpool(tmp_path, "n")
    rows = _sent(spool, 3)
    assert [row.payload for row in rows] == good
    assert spool.flush(FLUSH_S)
    counts = spool.counts()
    assert (counts.queued, counts.dropped, counts.balanced) == (3, {"damaged": 298}, True)
    spool.close()
    found = audit(tmp_path)
    assert (found["balanced"], found["queued"], found["dropped"]) == (True, 3, {"damaged": 298})


@pytest.mark.parametrize("name", ["x/../+/#", "a\0b", "Ü", "x" * 33])
def test_a_row_with_an_illegal_topic_holds_up_nobody(tmp_path: Path, name: str) -> None:
    fine = GOOD.with_id("n/3f9c0a/2").to_json()
    _planted(tmp_path, [(name, _with(pipeline=name)), ("porch", fine)])
    spool = DiskSpool(tmp_path, "n")
    assert [row.topic for row in _sent(spool, 1)] == ["porch/event"]
    spool.close()


@pytest.mark.parametrize(
    "field",
    [
        {"dropped": {"pixels of the porch": 7}},
        {"dropped": {"full": "7"}},
        {"gaps": {"full": ["pixels", "n/3f9c0a/1", 1]}},
        {"node": "n/pixels"},
        {"epochs": [[1, "pixels"]]},
        {"last": 10**30},
        {"last": True},
    ],
)
def test_a_planted_ledger_tells_health_nothing(field: dict[str, Any]) -> None:
    data = json.loads(Ledger("n").to_json()) | field
    with pytest.raises(ValueError, match="not a ledger"):
        Ledger.from_json(json.dumps(data).encode())


def test_a_worker_and_the_disk_allow_the_same_labels() -> None:
    """What main accepts from a worker must not be dropped when it comes back."""
    label = "猫" * LONGEST_LABEL
    taken = decode(
        encode(Outcome("porch", "start", label, 0.5, "unknown", (Finding(label, 0.5),) * 10, 1.0, 1.0))
    )
    assert isinstance(taken, Outcome)
    kept = replace(GOOD, label=taken.label, top=taken.top).to_json()
    assert checked(entry(kept)).payload == kept
