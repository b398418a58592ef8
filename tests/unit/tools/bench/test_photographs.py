from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from edged.errors import Refused
from edged.tools.bench import photographs

if TYPE_CHECKING:
    from pathlib import Path


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def test_photographs_lie_in_folders_of_their_labels(tmp_path: Path) -> None:
    put(tmp_path, "cat/b.jpg", "cat/a.PNG", "cat/notes.txt", "dog/c.webp", "cat/.hidden.jpg", "empty/x.txt")
    put(tmp_path, ".git/d.jpg", "cat/deeper/e.jpg", "loose.jpg")
    assert photographs.by_label(tmp_path) == {
        "cat": [tmp_path / "cat/a.PNG", tmp_path / "cat/b.jpg"],
        "dog": [tmp_path / "dog/c.webp"],
    }


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ((), r"no photograph is in it; put each photograph into a folder"),
        (("cat/a.txt",), r"no photograph is in it"),
        (("a.jpg", "b.jpg"), r"its photographs are not in folders; put each .*/LABEL/\*\.jpg"),
    ],
)
def test_a_folder_without_any_is_refused(tmp_path: Path, names: tuple[str, ...], sentence: str) -> None:
    put(tmp_path, *names)
    with pytest.raises(Refused, match=sentence) as refused:
        photographs.by_label(tmp_path)
    assert refused.value.status == os.EX_NOINPUT


def test_no_folder_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path, "file")
    for path, why in (
        (tmp_path / "none", "no such file or directory"),
        (tmp_path / "file", "not a directory"),
    ):
        with pytest.raises(Refused, match=f"{path}: {why}") as refused:
            photographs.by_label(path)
        assert refused.value.status == os.EX_NOINPUT


def test_strangers_come_with_what_may_be_meant() -> None:
    labels = ("Egyptian cat", "hotdog, hot dog, red hot", "macaw")
    found = photographs.strangers({"egyptian_cats": 1, "macaw": 1, "Hot_dog": 1, "zzz": 1}, labels)
    assert found == {"egyptian_cats": "did you mean 'Egyptian cat'?", "zzz": ""}
    assert photographs.shown(found) == "'egyptian_cats' (did you mean 'Egyptian cat'?), 'zzz'"


def test_of_many_strangers_the_first_ten_are_named() -> None:
    words = photographs.shown({f"f{n}": "" for n in range(13)})
    assert words.endswith("'f9' and 3 more")
