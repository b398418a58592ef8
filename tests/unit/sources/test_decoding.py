from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edged.ipc.heartbeat import MARKS
from edged.sources.decoding import Decoding, mark_of


@given(st.text(), st.integers(0), st.integers(0))
def test_a_mark_fits_the_heartbeat_exactly(name: str, modified_ns: int, size: int) -> None:
    mark = mark_of(name, modified_ns, size)
    assert 0 < mark < MARKS
    assert int(float(mark)) == mark


def test_a_name_that_is_not_unicode_has_a_mark() -> None:
    assert mark_of("\udce9.jpg", 1, 2) != mark_of("e.jpg", 1, 2)


def test_a_sentence_names_a_few_files() -> None:
    said: list[str] = []
    Decoding(left_out=said.append).leave_out(["a", "b", "c", "d", "e"])
    assert said == ["left out, since decoding them ended an earlier worker: a, b, c and 2 more"]
    Decoding(left_out=said.append).leave_out([])
    assert len(said) == 1
