from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.ipc import readings_page
from edged.ipc.readings_page import Reader, Record, Writer, name_of


def both(*names: str) -> tuple[Writer, Reader, int]:
    descriptor = readings_page.create()
    return Writer(descriptor, names), Reader(descriptor), descriptor


def put(writer: Writer, name: str, value: float | bool | None, **more: Any) -> None:
    writer.put(
        name,
        **{"unit": "lx", "value": value, "quality": "good", "ts": 5.0, "at": 2.0, "fresh_s": 30.0, **more},
    )


def test_what_is_written_is_read() -> None:
    writer, reader, descriptor = both("lux", "air/pm2_5", "pir")
    os.close(descriptor)
    assert reader.get("lux") is None
    put(writer, "air/pm2_5", 12.5, unit="µg/m³")
    put(writer, "lux", 20.0)
    assert reader.get("lux") == Record("lux", "lx", 20.0, "good", 5.0, 2.0, 30.0, 1, 0)
    air = reader.get("air/pm2_5")
    assert air is not None
    assert (air.unit, air.value) == ("µg/m³", 12.5)
    assert reader.get("pir") is None
    assert reader.get("nobody") is None
    put(writer, "nobody", 1.0)
    assert reader.get("nobody") is None
    writer.close()
    reader.close()


def test_a_pulse_between_two_looks_is_counted() -> None:
    writer, reader, _ = both("pir")
    for value in (False, True, True, False, True, False):
        put(writer, "pir", value)
    record = reader.get("pir")
    assert record is not None
    assert (record.value, record.count, record.rises) == (False, 6, 2)


def test_what_is_no_measurement_is_not_good() -> None:
    writer, reader, _ = both("lux")
    for value in (None, math.nan):
        put(writer, "lux", value)
        record = reader.get("lux")
        assert record is not None
        assert (record.value, record.good) == (None, False)


def test_a_writer_that_begins_anew_wipes_it_and_readers_go_on() -> None:
    writer, reader, descriptor = both("a", "b")
    put(writer, "a", 1.0)
    put(writer, "b", 2.0)
    assert reader.get("b") is not None
    writer.close()
    again = Writer(descriptor, ["c", "b"])
    assert reader.get("a") is None
    assert reader.get("b") is None
    put(again, "c", 3.0)
    put(again, "b", 4.0)
    found = reader.get("b")
    assert found is not None
    assert found.value == 4.0


def test_the_reader_cannot_write() -> None:
    _, reader, _ = both("a")
    with pytest.raises(TypeError):
        reader._page[0] = 1


@given(st.binary(max_size=400))
def test_a_page_with_anything_on_it_gives_nothing_or_a_record(noise: bytes) -> None:
    writer, reader, descriptor = both("a")
    put(writer, "a", 1.0)
    os.pwrite(descriptor, noise, 0)
    record = reader.get("a")
    assert record is None or record.value == 1.0
    for page in (writer, reader):
        page.close()
    os.close(descriptor)


def test_a_reader_never_sees_half_a_record() -> None:
    """Two processes at full speed: value and time are always of the same reading."""
    _, reader, descriptor = both("a")
    code = (
        "import sys\nfrom edged.ipc.readings_page import Writer\n"
        "writer = Writer(int(sys.argv[1]), ['a'])\n"
        "n = 0.0\n"
        "while True:\n"
        "    n += 1\n"
        "    writer.put('a', 'x', n, quality='good', ts=n, at=n, fresh_s=n)\n"
    )
    writing = subprocess.Popen([sys.executable, "-c", code, str(descriptor)], pass_fds=[descriptor])
    try:
        seen: set[float] = set()
        while len(seen) < 500:
            record = reader.get("a")
            if record is not None:
                assert record.value == record.ts == record.at == record.fresh_s == record.count
                seen.add(record.at)
    finally:
        writing.kill()
        writing.wait()


def test_names() -> None:
    assert name_of("lux", "") == "lux"
    assert name_of("air", "pm2_5") == "air/pm2_5"
    writer, reader, _ = both(longest := f"{'a' * 32}/{'b' * 32}")
    put(writer, longest, True, unit="µg/m³" * 4)
    record = reader.get(longest)
    assert record is not None
    assert (record.name, record.unit) == (longest, "µg/m³µg/m³µg/m³µg"), "24 bytes, and no half a character"
