"""A row as it is stored: small, and with a checksum of its own.

Events of one node resemble each other, so each is compressed against one sample that all of them share: a
third to a fifth of the bytes, which counts twice on an SD card. The sample belongs to the version of the file
(``store.VERSION``) and may not be changed without raising it.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

MAX_PAYLOAD = 16_384  # twice the largest event: edged did not write what unpacks to more
SAMPLE = (
    b'{"node":"","base":0,"last":0,"acknowledged":0,"clean":false,"dropped":{"full":0,"age":0,"refused":0},'
    b'"gaps":{},"epochs":[[1,""]],"boots":{"1":["",null]}}'
    b'{"v":1,"id":"/1","type":"gap","node":"","reason":"full","first":"/1","last":"/1","count":1,"ts":"2026-'
    b'{"v":1,"id":"/1","type":"heartbeat","end","start","change","node":"","pipeline":"","label":"unknown",'
    b'"score":0.5,"previous":"unknown","top":[{"label":"","score":0.9},{"label":"","score":0.0}],'
    b'"captured_at":"2026-01-01T12:00:00.000Z","ts":"2026-01-01T12:00:00.000Z","clock":"synced",'
    b'"model":{"name":"mobilenet_v2_1.0_224_quant","efficientnet_lite0_uint8","sha256":""},'
    b'"accelerator":"edgetpu","accelerator":"cpu","degraded":true,"degraded":false,"latency_ms":10.000,'
    b'"replayed":false,"frame":1,"network":true}'
)


class Entry(NamedTuple):
    """One row.

    Attributes:
        place: its number in the file, ascending over all epochs.
        pipeline: names the topic; empty: a record of the spool itself.
        payload: the event as JSON, with its id.
        boot, at: when it was accepted: number of the boot, and ms since that boot (see ``ages``).
    """

    place: int
    pipeline: str
    payload: bytes
    boot: int
    at: int


Stored = tuple[int, str, int, int, int, bytes]  # place, pipeline, boot, at, crc, packed


def pack(entry: Entry) -> Stored:
    """Return the row to store."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 5, zlib.Z_DEFAULT_STRATEGY, SAMPLE)
    packed = deflate.compress(entry.payload) + deflate.flush()
    return (entry.place, entry.pipeline, entry.boot, entry.at, _crc(entry, packed), packed)


def unpack(row: tuple[object, ...]) -> Entry | None:
    """Return the entry of a stored row, or None for one that is damaged."""
    place, pipeline, boot, at, crc, packed = row
    if not (
        isinstance(place, int)
        and isinstance(pipeline, str)
        and isinstance(boot, int)
        and isinstance(at, int)
        and isinstance(packed, bytes)
    ):
        return None
    entry = Entry(place, pipeline, b"", boot, at)
    if _crc(entry, packed) != crc:
        return None
    inflate = zlib.decompressobj(-15, SAMPLE)
    try:
        payload = inflate.decompress(packed, MAX_PAYLOAD)
    except zlib.error:
        return None
    return entry._replace(payload=payload) if inflate.eof else None


def without_boot(row: Stored) -> Stored:
    """Return a row of an unknown boot, whose age is at least the time since this one."""
    entry = Entry(row[0], row[1], b"", 0, row[3])
    return (entry.place, entry.pipeline, entry.boot, entry.at, _crc(entry, row[5]), row[5])


def _crc(entry: Entry, packed: bytes) -> int:
    head = f"{entry.place}/{entry.pipeline}/{entry.boot}/{entry.at}/".encode()
    return zlib.crc32(packed, zlib.crc32(head))
