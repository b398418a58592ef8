from __future__ import annotations

import dataclasses
import json
import random
import string
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edged.events import MAX_BYTES, MAX_READINGS, Attached, Detection, Finding, ModelTag
from edged.ipc import worker_messages
from edged.ipc.codec import WireError

WIDE = "\U0001d11e"  # four bytes in UTF-8
READY = worker_messages.Ready(
    "porch", ModelTag("mobilenet", "0c9f1a2b"), "litert", "cpu", isolation=("seccomp",)
)
OUTCOME = worker_messages.Outcome(
    "porch", "start", "cat", 0.9, "unknown", (Finding("cat", 0.9),), 1.7e9, 1.7e9, 12.5, 3.25, 7
)
BEAT = worker_messages.Beat("porch", 9.9, 1.5, 3.0, 4.0, 1234, {"frozen": 3, "skipped": 999})
FAULT = worker_messages.Fault("porch", "source", "absent", "there is no /dev/video7")
READINGS = (Attached("lux", 20.5, "lx", "good", 1.5), Attached("air/co2", None, "ppm", "bad", 0.0))
HELD = worker_messages.Held("porch", "the condition on lux does not hold")
REPORTS = (
    *(READY, worker_messages.Running("porch"), OUTCOME, BEAT, FAULT, HELD, worker_messages.Ended("porch")),
    dataclasses.replace(OUTCOME, readings=READINGS),
    worker_messages.Running("porch", (0.667, 1.0)),
)

names = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=32)
labels = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=128)
scores = st.floats(0, 1)
times = st.floats(0, 253402300799)
findings = st.builds(Finding, labels, scores)
tags = st.builds(ModelTag, st.text(string.printable[:95], min_size=1, max_size=64), st.just("0c9f1a2b"))
readings = st.builds(
    Attached,
    names,
    st.one_of(st.none(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)),
    st.sampled_from(["", "°C", "µg/m³"]),
    st.sampled_from(["good", "stale", "suspect", "bad"]),
    st.floats(0, 1e9),
)
reports = st.one_of(
    st.builds(
        worker_messages.Ready,
        names,
        tags,
        st.sampled_from(sorted(worker_messages.RUNTIMES)),
        st.sampled_from(["cpu", "edgetpu", "external"]),
        st.booleans(),
        st.booleans(),
        st.sampled_from([(), ("seccomp",), ("netns",), ("seccomp", "netns")]),
    ),
    st.builds(worker_messages.Running, names, st.sampled_from([(), (0.39, 0.39), (1, 0.75)])),
    st.builds(
        worker_messages.Labels,
        names,
        st.integers(0, 9),
        st.integers(0, 99),
        st.lists(labels, max_size=9).map(tuple),
    ),
    st.builds(
        worker_messages.Outcome,
        names,
        st.sampled_from(sorted(worker_messages.TYPES)),
        labels,
        scores,
        labels,
        st.lists(findings, max_size=10).map(tuple),
        times,
        times,
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.none() | st.integers(0, 2**53 - 1),
        st.lists(readings, max_size=MAX_READINGS).map(tuple),
    ),
    st.builds(worker_messages.Held, names, labels.map(lambda text: text[:100])),
    st.builds(
        worker_messages.Beat,
        names,
        st.floats(0, 1e6),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
        st.integers(0, 2**53 - 1),
        st.dictionaries(names, st.integers(0, 2**53 - 1), max_size=16),
    ),
    st.builds(
        worker_messages.Fault,
        names,
        st.sampled_from(sorted(worker_messages.KINDS)),
        names,
        labels.filter(lambda s: len(s) <= 400),
    ),
    st.builds(worker_messages.Ended, names),
)


@given(reports)
def test_what_is_sent_arrives(report: worker_messages.Report) -> None:
    data = worker_messages.encode(report)
    assert len(data) <= MAX_BYTES
    assert worker_messages.decode(data) == report


def test_every_kind_of_report_at_its_bounds_fits_into_a_datagram() -> None:
    word, label = WIDE * worker_messages.LONGEST_NAME, WIDE * worker_messages.LONGEST_LABEL
    reading = Attached("n" * 65, -1.7e308 / 3, WIDE * 6, "suspect", 1e9 / 3)
    outcome = worker_messages.Outcome(
        word, "heartbeat", label, 1 / 3, label, (Finding(label, 1 / 3),) * 10, 1 / 3, 1 / 3, 1 / 3, 1 / 3
    )
    widest = (
        dataclasses.replace(outcome, readings=(reading,) * MAX_READINGS),
        worker_messages.Held(word, WIDE * 400),
        worker_messages.Beat(
            word,
            1 / 3,
            1 / 3,
            1 / 3,
            1 / 3,
            2**53 - 1,
            {WIDE * 31 + chr(97 + n): 2**53 - 1 for n in range(16)},
        ),
        worker_messages.Fault(word, "accelerator", word, WIDE * 5000),
        worker_messages.Ready(
            word, ModelTag(WIDE * 64, "01234567"), "tflite-runtime", "edgetpu", isolation=("seccomp", "netns")
        ),
    )
    for report in widest:
        data = worker_messages.encode(report)
        assert len(data) <= MAX_BYTES
        assert dataclasses.asdict(worker_messages.decode(data)) | {"message": ""} == dataclasses.asdict(
            report
        ) | {"message": ""}


def test_what_was_found_in_one_picture_fits_into_a_datagram() -> None:
    label = WIDE * worker_messages.LONGEST_LABEL
    found = [Detection(label, 1 / 3, (0.0, 1 / 3, 2 / 3, 1.0)), *[Finding("cat", 1 / 3)] * 200]
    outcome = dataclasses.replace(
        OUTCOME, label=label, previous=label, top=(), found=worker_messages.that_fit(found * 9)
    )
    data = worker_messages.encode(outcome)
    assert len(data) <= MAX_BYTES
    arrived = worker_messages.decode(data)
    assert isinstance(arrived, worker_messages.Outcome)
    assert arrived.found[0] == Detection(label, 0.3333, (0.0, 0.3333, 0.6667, 1.0))
    assert 20 < len(arrived.found) < 60


def test_a_long_sentence_is_cut() -> None:
    sent = worker_messages.Fault("porch", "source", "absent", "x" * 5000)
    assert worker_messages.decode(worker_messages.encode(sent)) == dataclasses.replace(
        sent, message="x" * worker_messages.LONGEST_SENTENCE
    )


def test_what_a_terminal_would_obey_is_replaced() -> None:
    sent = worker_messages.Fault("porch", "source", "absent", "\x1b[2J\ud800 gone\n")
    received = worker_messages.decode(worker_messages.encode(sent))
    assert isinstance(received, worker_messages.Fault)
    assert received.message == "?[2J? gone?"


ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    1e308,
    -0.0,
    10**400,
    float("nan"),
    float("inf"),
    "",
    "\ud800",
    "x" * 129,
    "x" * 7000,
    [],
    [[]],
    [None, None],
    ["cat"],
    ["cat", 2],
    ["cat", 0.5, 0.5],
    [["cat", 0.5]] * 11,
    {},
    {"a": -1},
    {str(n): n for n in range(17)},
    {"t": "ready"},
)


def mutated(fields: dict[str, Any], rng: random.Random) -> bytes:
    """Return a good message with one or two things wrong in it, or noise."""
    for _ in range(rng.randint(1, 2)):
        key = rng.choice(sorted(fields))
        match rng.randrange(4):
            case 0:
                fields[key] = rng.choice(ODD)
            case 1:
                if len(fields) > 1:
                    del fields[key]
            case 2:
                fields["".join(rng.choices(string.printable, k=rng.randint(0, 9)))] = rng.choice(ODD)
            case _:
                fields[key] = fields[rng.choice(sorted(fields))]
    data = bytearray(json.dumps(fields).encode(errors="replace"))
    if rng.random() < 0.5:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    if rng.random() < 0.1:
        del data[rng.randrange(len(data)) :]
    return bytes(data)


@settings(max_examples=400)
@given(st.integers(0, 2**64), st.lists(reports, min_size=1, max_size=3), st.binary(max_size=200))
def test_20_000_bad_messages_are_refused_and_nothing_else_happens(
    seed: int, good: list[worker_messages.Report], noise: bytes
) -> None:
    rng = random.Random(seed)
    sent = [noise, *(mutated(json.loads(worker_messages.encode(rng.choice(good))), rng) for _ in range(50))]
    slowest = 0.0
    for data in sent:
        began = time.perf_counter()
        try:
            received = worker_messages.decode(data)
        except WireError:
            pass
        else:
            assert len(worker_messages.encode(received)) <= MAX_BYTES
            assert worker_messages.decode(worker_messages.encode(received)) == received
        slowest = max(slowest, time.perf_counter() - began)
    assert slowest < 1


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"t":[]}',
        b'{"t":"order","pipeline":"porch"}',
        b'{"t":"running"}',
        b'{"t":"running","pipeline":"porch","more":1}',
        b'{"t":"running","pipeline":' + b"9" * 5000 + b"}",
        b"[" * 5000,
        b'{"t":"running","pipeline":"' + b"x" * MAX_BYTES + b'"}',
        b'{"t":"running","pipeline":"\xff"}',
    ],
    ids=lambda data: str(data[:24]),
)
def test_refuses(data: bytes) -> None:
    with pytest.raises(WireError):
        worker_messages.decode(data)


@pytest.mark.parametrize("value", [10**400, float("nan"), float("inf"), 1.01, -0.01, True, "1"])
def test_a_score_is_a_number_from_0_to_1(value: object) -> None:
    fields = json.loads(worker_messages.encode(OUTCOME)) | {"score": value}
    with pytest.raises(WireError):
        worker_messages.decode(json.dumps(fields).encode())


def test_every_kind_is_known_on_both_sides() -> None:
    for report in REPORTS:
        assert worker_messages.decode(worker_messages.encode(report)) == report
