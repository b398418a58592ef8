from __future__ import annotations

from pathlib import Path

import pytest

from edged.errors import Refused
from edged.tools.teach import examples


def touched(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_photographs_of_one_label(tmp_path: Path) -> None:
    found = examples.photographs(touched(tmp_path, "b.jpg", "a.png", "notes.txt", ".c.jpg"), "cat")
    assert found.files == ((tmp_path / "a.png", "cat"), (tmp_path / "b.jpg", "cat"))
    assert (found.gives, found.labels) == ("picture", ["cat"])


def test_a_folder_for_each_label(tmp_path: Path) -> None:
    found = examples.photographs(touched(tmp_path, "dog/1.jpg", "cat/1.jpg", "cat/2.jpg", "x.txt"), None)
    assert found.labels == ["cat", "dog"]
    assert len(found.files) == 3


def test_folders_and_labels_that_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no photograph"):
        examples.photographs(tmp_path, "cat")
    with pytest.raises(Refused, match="no such file"):
        examples.photographs(tmp_path / "gone", "cat")
    touched(tmp_path, "inner/1.jpg")
    with pytest.raises(Refused, match="leave --label out"):
        examples.photographs(tmp_path, "cat")
    with pytest.raises(Refused, match="write their --label"):
        examples.photographs(tmp_path / "inner", None)


def test_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touched(tmp_path, "hello.txt", "bye.txt", "README.md")
    found = examples.texts(tmp_path, None)
    assert found.files == ((tmp_path / "bye.txt", "bye"), (tmp_path / "hello.txt", "hello"))
    monkeypatch.chdir(tmp_path)
    alone = examples.texts(Path("bye.txt"), "bye")
    assert (alone.gives, alone.files) == ("text", ((tmp_path / "bye.txt", "bye"),))
    for path, label, why in (
        (tmp_path, "bye", "leave --label out"),
        (tmp_path / "bye.txt", None, "write the --label"),
        (tmp_path / "gone.txt", "bye", "no such file"),
    ):
        with pytest.raises(Refused, match=why):
            examples.texts(path, label)


@pytest.mark.parametrize("label", ["unknown", "", "a\nb"])
def test_labels_that_cannot_be_taught(label: str) -> None:
    with pytest.raises(Refused, match="cannot be a label"):
        examples.checked(label)
    assert examples.checked("Zoë's bike") == "Zoë's bike"
