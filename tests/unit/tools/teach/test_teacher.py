from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from taught_models import SIDE, features, teach

from edged.errors import ModelError, Refused
from edged.models.taught.head_file import OTHER
from edged.system.child import ChildFailed
from edged.tools.teach import teacher
from edged.tools.teach.examples import Examples
from edged.tools.teach.teacher import CORRECTIONS, Teacher
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
    def answers(*_arguments: object, **_more: object) -> Iterator[dict[str, Any]]:
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


def test_a_lesson_over_mqtt_has_a_label_of_the_model_and_no_more_than_its_share(tmp_path: Path) -> None:
    lessons = Teacher(tmp_path, Notes())
    with pytest.raises(Refused, match="no taught model stripes"):
        lessons.correct("stripes", "left", b"")
    teach(tmp_path, "stripes", {"left": 2, "right": 12}, each=3)
    row = np.asarray(features(7), "<f2").tobytes()
    with pytest.raises(Refused, match="no such label"):
        lessons.correct("stripes", "middle", row)
    with pytest.raises(ModelError, match="not features of its model"):
        lessons.correct("stripes", "left", row[2:])
    with pytest.raises(Refused, match="did not come over MQTT"):
        lessons.take_back("stripes")
    report = lessons.correct("stripes", "left", row)
    assert (report["version"], report["examples"]) == (2, {"left": 4, "right": 3})
    moved = lessons.correct("stripes", "right", row)  # a correction of the correction
    assert moved["examples"] == {"left": 3, "right": 4}
    assert lessons.take_back("stripes").counts == {"left": 4, "right": 3}
    assert lessons.correct("stripes", OTHER, row)["examples"] == {"left": 3, "right": 3, OTHER: 1}
    with pytest.raises(Refused, match="not features"):
        lessons.correct("stripes", "left", np.full(SIDE, np.nan, "<f2").tobytes())


def test_corrections_of_one_label_do_not_drown_the_others(tmp_path: Path) -> None:
    lessons = Teacher(tmp_path, Notes())
    teach(tmp_path, "stripes", {"left": 2, "right": 12}, each=CORRECTIONS)
    row = np.asarray(features(7), "<f2").tobytes()
    assert lessons.correct("stripes", "left", row)["examples"]["left"] == CORRECTIONS + 1
    teach(tmp_path, "few", {"left": 2, "right": 12}, each=3)
    with pytest.raises(Refused, match="20 examples and another one 3: teach that first"):
        teacher._refuse_more({"left": 20, "right": 3}, "left")
