from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edged.errors import ModelError
from edged.models.taught import head_file
from edged.models.taught.head_file import Gates, HeadFile, Taught, read, unfit

PATH = Path("garage/head")


def head(**changes: Any) -> HeadFile:
    made = HeadFile(
        version=3,
        gives="picture",
        embedder="ab" * 32,
        features=4,
        labels=("cat", "Zoë's bike", "other"),
        answers=(0, 1, 2, 1),
        gates=Gates(0.4, 0.1),
        weights=struct.pack("<12e", *range(12)),
        bias=struct.pack("<3e", 1, 2, 3),
        examples=struct.pack("<16e", *range(16)),
        history=(Taught(5.0, "taught", "cat", 1),),
    )
    return replace(made, **changes)


def test_a_head_comes_back_as_it_was_written() -> None:
    again = read(PATH, head().to_bytes())
    assert again == head()
    assert again.named == ("cat", "Zoë's bike")
    assert again.counts == {"cat": 1, "Zoë's bike": 2, "other": 1}


def test_only_the_newest_lessons_are_kept() -> None:
    lessons = tuple(Taught(float(n), "taught", "cat", 1) for n in range(300))
    assert read(PATH, head(history=lessons).to_bytes()).history == lessons[-head_file.MAX_HISTORY :]


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": ()},
        {"labels": ("cat", "cat", "other")},
        {"labels": ("cat", "unknown", "other")},
        {"labels": ("cat", "\x1b[2J", "other")},
        {"answers": (0, 1, 2)},
        {"answers": (0, 1, 1, 1)},
        {"answers": (0, 1, 2, 3)},
        {"features": 5},
        {"features": 10**9},
        {"gates": Gates(float("nan"), 0.0)},
        {"gives": "window"},
        {"bias": b""},
    ],
    ids=str,
)
def test_a_head_that_contradicts_itself_is_damaged(changes: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"garage/head: the file is damaged.*--undo"):
        read(PATH, head(**changes).to_bytes())


@given(st.integers(0, 500), st.binary(min_size=1, max_size=4))
def test_whatever_a_disk_makes_of_it_is_one_sentence(at: int, wrong: bytes) -> None:
    content = bytearray(head().to_bytes())
    at %= len(content)
    content[at : at + len(wrong)] = wrong
    for data in (bytes(content), bytes(content[:at])):
        try:
            read(PATH, data)
        except ModelError as error:
            assert "\n" not in str(error)  # noqa: PT017 - many contents are still heads


def test_another_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no such taught model"):
        read(tmp_path / "head")
    (tmp_path / "head").write_bytes(b"TFL3 and more")
    with pytest.raises(ModelError, match="it is not the head of a taught model"):
        read(tmp_path / "head")


@pytest.mark.parametrize("label", ["", " cat", "cat\n", "x" * 200, "unknown", "a\x1b[2J"])
def test_what_cannot_be_a_label(label: str) -> None:
    assert unfit(label)


@pytest.mark.parametrize("label", ["cat", "other", "Zoë's bike", "口"])
def test_what_can_be_a_label(label: str) -> None:
    assert not unfit(label)
