from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import ModelError, Refused
from edged.models.taught.head_file import OTHER
from edged.system.child import ChildFailed
from edged.tools.teach import teacher
from edged.tools.teach.examples import Examples
from edged.tools.teach.teacher import Teacher
from unit.models.taught.test_head_file import head
from unit.models.taught.test_store import taught

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class Notes:
    def __init__(self) -> None:
        self.said: list[str] = []

    def progress(self, done: int, total: int) -> None:
        self.said.append(f"{done} of {total}")

    def taken(self, number: int, total: int) -> None:
        self.said.append(f"taken {number} of {total}")

    def note(self, sentence: str) -> None:
        self.said.append(sentence)


def answering(*told: Any) -> Callable[..., Iterator[dict[str, Any]]]:
    def answers(*_arguments: object) -> Iterator[dict[str, Any]]:
        for answer in told:
            if isinstance(answer, Exception):
                raise answer
            yield answer

    return answers


FOUND = {"answers": [0, 1], "left_out": [0, 1], "kept": [True, True], "isolation": ["seccomp"]}


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ([{"error": "the camera is away"}], "the camera is away"),
        ([], "ended without an answer"),
        ([ChildFailed("its process hung")], "its process hung"),
    ],
)
def test_a_process_that_fails_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[Any], why: str
) -> None:
    taught(Teacher(tmp_path, Notes()).store, "garage", 1)
    monkeypatch.setattr(teacher, "answers", answering(*told))
    with pytest.raises(Refused, match=why):
        Teacher(tmp_path, Notes()).examine("garage", None)


@pytest.mark.parametrize(
    "found",
    [
        FOUND,
        FOUND | {"weights": "!", "bias": "", "examples": "", "features": 4, "gates": [0, 0]},
        FOUND | {"weights": "", "bias": "", "examples": "", "features": 4, "gates": [0, 0]},
        FOUND | {"left_out": [0, 7]},
        FOUND | {"kept": []},
    ],
    ids=["nothing", "no base64", "too short", "no such label", "too few"],
)
def test_what_a_process_sends_is_checked_before_it_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any]
) -> None:
    lessons = Teacher(tmp_path, Notes())
    before = taught(lessons.store, "garage", 1)
    monkeypatch.setattr(teacher, "answers", answering({"found": found}))
    with pytest.raises(ModelError):
        lessons.forget("garage", OTHER)
    assert lessons.store.read("garage") == before


def test_progress_and_what_is_left_out_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = Notes()
    lessons = Teacher(tmp_path, watcher)
    taught(lessons.store, "garage", 1)
    told = [{"done": 0}, {"taken": 1}, {"found": FOUND | {"unreadable": ["/a.jpg"], "isolation": []}}]
    monkeypatch.setattr(teacher, "answers", answering(*told))
    lessons.examine("garage", None)
    assert watcher.said[:3] == ["0 of 0", "taken 1 of 0", "/a.jpg is left out: it cannot be read as a whole"]
    assert watcher.said[3].startswith("WARNING: the process that sees the examples is not isolated")


def test_what_does_not_go_with_the_model_is_refused(tmp_path: Path) -> None:
    lessons = Teacher(tmp_path, Notes())
    with pytest.raises(Refused, match="no taught model garage; there are: none"):
        lessons.examine("garage", None)
    taught(lessons.store, "garage", 1)
    assert head().labels == ("cat", "Zoë's bike", "other")
    with pytest.raises(Refused, match="no label 'dog'; it has cat"):
        lessons.forget("garage", "dog")
    with pytest.raises(Refused, match="was taught with pictures"):
        lessons.teach("garage", Examples("text", ((tmp_path / "a.txt", "a"),)), tmp_path / "m.tflite")
