"""A row comes back from the disk as it was, or not at all."""

from __future__ import annotations

import zlib

from hypothesis import given
from hypothesis import strategies as st

from edged.events import MAX_BYTES
from edged.spool.entry import MAX_PAYLOAD, SAMPLE, Entry, pack, unpack
from unit.spool.doubles import event

entries = st.builds(
    Entry,
    place=st.integers(0, 2**62),
    pipeline=st.from_regex(r"[a-z0-9-]{0,32}", fullmatch=True),
    payload=st.binary(max_size=MAX_BYTES),
    boot=st.integers(0, 1000),
    at=st.integers(0, 2**50),
)


@given(entries)
def test_what_was_packed_is_unpacked(entry: Entry) -> None:
    assert unpack(pack(entry)) == entry


@given(entries, st.integers(0, 5), st.data())
def test_what_was_changed_is_refused(entry: Entry, column: int, data: st.DataObject) -> None:
    row: list[object] = list(pack(entry))
    packed = row[5]
    assert isinstance(packed, bytes)
    changed: list[st.SearchStrategy[object]] = [
        st.integers(0, 2**62), st.text(max_size=40), st.integers(0, 1000), st.integers(0, 2**50),
        st.integers(0, 2**32 - 1), st.integers(0, len(packed) - 1).map(lambda at: _flipped(packed, at)),
    ]  # fmt: skip
    row[column] = data.draw(changed[column].filter(lambda value: value != row[column]))
    assert unpack(tuple(row)) is None


def _flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]


def test_other_types_are_refused() -> None:
    row = pack(Entry(1, "p", b"{}", 1, 1))
    for column in range(6):
        assert unpack((*row[:column], None, *row[column + 1 :])) is None


def test_a_row_that_would_unpack_to_too_much_is_refused() -> None:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, SAMPLE)
    packed = deflate.compress(bytes(MAX_PAYLOAD + 1)) + deflate.flush()
    crc = zlib.crc32(packed, zlib.crc32(b"1/p/1/1/"))
    assert unpack((1, "p", 1, 1, crc, packed)) is None


def test_an_event_takes_a_third_of_its_bytes() -> None:
    payload = event("Egyptian cat").with_id("n/3f9c0a11bb22/1042").to_json()
    assert len(pack(Entry(1, "porch", payload, 1, 1))[5]) < len(payload) / 3
