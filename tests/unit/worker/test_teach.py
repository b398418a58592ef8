from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import cv2
import pytest
from taught_models import EMBEDDER, stripe
from tflite_builder import build

from edged.errors import ModelError, Unavailable
from edged.ipc.teach_request import STRANGER, TeachRequest
from edged.models.taught.head_file import Gates, HeadFile
from edged.models.tflite.file import read
from edged.worker.teach import PER_LABEL, Lesson

if TYPE_CHECKING:
    from pathlib import Path


def stripes(folder: Path, column: int, count: int, seed: int = 0) -> list[str]:
    """Pictures with one bright column, each a little different."""
    paths = [str(folder / f"{seed}-{column}-{number}.png") for number in range(count)]
    for number, path in enumerate(paths):
        cv2.imwrite(path, stripe(column, 100 * seed + number))
    return paths


class Teaching:
    """Teaches a model of stripes, lesson after lesson."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[dict[str, Any]] = []
        (folder / "m.tflite").write_bytes(EMBEDDER)
        self._sha256 = read(folder / "m.tflite").sha256
        self._head = ""

    def ask(
        self, labels: tuple[str, ...], files: list[str], answers: list[int], **more: Any
    ) -> dict[str, Any]:
        request = TeachRequest(
            labels=labels,
            embedder=str(self.folder / "m.tflite"),
            sha256=self._sha256,
            head=self._head,
            files=tuple(files),
            answers=tuple(answers),
            **more,
        )
        found = Lesson(TeachRequest.from_json(request.to_json()), lambda d: self.told.append(dict(d))).run()
        if not request.examine:
            self._keep(labels, found)
        return found

    def _keep(self, labels: tuple[str, ...], found: dict[str, Any]) -> None:
        weights, bias, rows = (base64.b64decode(found[part]) for part in ("weights", "bias", "examples"))
        head = HeadFile(
            1,
            "picture",
            self._sha256,
            found["features"],
            labels,
            tuple(found["answers"]),
            Gates(*found["gates"]),
            weights,
            bias,
            rows,
        )
        self._head = str(self.folder / "head")
        (self.folder / "head").write_bytes(head.to_bytes())


@pytest.fixture
def teaching(tmp_path: Path) -> Teaching:
    return Teaching(tmp_path)


def test_labels_are_taught_one_after_the_other_and_recognised(teaching: Teaching) -> None:
    folder = teaching.folder
    teaching.ask(("left",), stripes(folder, 2, 6), [0] * 6)
    found = teaching.ask(("left", "right"), stripes(folder, 12, 6), [1] * 6)
    assert found["answers"] == [0] * 6 + [1] * 6
    assert found["left_out"] == found["answers"]
    asked = [*stripes(folder, 2, 4, seed=1), *stripes(folder, 12, 4, seed=1), *stripes(folder, 7, 4)]
    right = [0] * 4 + [1] * 4 + [STRANGER] * 4
    judged = teaching.ask(("left", "right"), asked, right, examine=True)
    assert judged["judged"][:8] == right[:8]
    assert judged["right"] == right
    assert sum(judged["passed"][:8]) >= 5
    assert judged["passed"][8:] == [False] * 4


def test_the_same_picture_again_is_a_correction(teaching: Teaching) -> None:
    left, right = stripes(teaching.folder, 2, 4), stripes(teaching.folder, 12, 4)
    teaching.ask(("left", "right"), [*left, *right], [0] * 4 + [1] * 4)
    assert len(teaching.ask(("left", "right"), left, [0] * 4)["answers"]) == 8
    corrected = teaching.ask(("left", "right"), [left[0]], [1])
    assert sorted(corrected["answers"]) == [0] * 3 + [1] * 5
    with pytest.raises(
        ModelError, match="all examples of left were shown as another label: forget left first"
    ):
        teaching.ask(("left", "right"), left, [1] * 4)


def test_a_label_that_is_left_out_takes_its_examples_along(teaching: Teaching) -> None:
    files = [
        *stripes(teaching.folder, 2, 3),
        *stripes(teaching.folder, 7, 3),
        *stripes(teaching.folder, 12, 3),
    ]
    teaching.ask(("a", "b", "c"), files, [0] * 3 + [1] * 3 + [2] * 3)
    assert teaching.ask(("a", "c"), [], [])["answers"] == [0] * 3 + [1] * 3


def test_the_newest_examples_of_a_label_are_kept(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.worker.teach.PER_LABEL", 5)
    teaching.ask(("left",), stripes(teaching.folder, 2, 4), [0] * 4)
    assert len(teaching.ask(("left",), stripes(teaching.folder, 3, 4), [0] * 4)["answers"]) == 5
    assert PER_LABEL == 200


def test_what_cannot_be_read_is_left_out_by_name(teaching: Teaching) -> None:
    (teaching.folder / "half.png").write_bytes(b"\x89PNG\r\n")
    files = [*stripes(teaching.folder, 2, 2), str(teaching.folder / "half.png"), "/nowhere.jpg"]
    found = teaching.ask(("left",), files, [0] * 4)
    assert found["unreadable"] == files[2:]
    assert found["answers"] == [0, 0]


def test_a_label_without_a_readable_example_is_refused(teaching: Teaching) -> None:
    with pytest.raises(ModelError, match=r"no example of right can be read \(/nowhere.jpg: no such file"):
        teaching.ask(("left", "right"), [*stripes(teaching.folder, 2, 2), "/nowhere.jpg"], [0, 0, 1])
    with pytest.raises(ModelError, match="no example that can be read"):
        teaching.ask(("left",), ["/nowhere.jpg"], [0])


def test_a_camera_gives_pictures_one_by_one(teaching: Teaching) -> None:
    camera = {"kind": "synthetic", "interval_s": 0}
    found = teaching.ask(("scene",), [], [], camera=camera, count=3, interval_s=0.0)
    assert [told["taken"] for told in teaching.told] == [1, 2, 3]
    assert set(found["answers"]) == {0}


def test_a_camera_is_masked(teaching: Teaching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.worker.teach._PATIENCE_S", 0.05)
    everything = [[[0, 0], [1, 0], [1, 1], [0, 1]]]
    camera = {"kind": "synthetic", "interval_s": 0, "mask": everything}
    with pytest.raises(Unavailable, match="only black pictures"):
        teaching.ask(("scene",), [], [], camera=camera, count=1, interval_s=0.0)


def test_a_camera_that_is_away_is_told(teaching: Teaching) -> None:
    with pytest.raises(Unavailable):
        teaching.ask(("scene",), [], [], camera={"kind": "v4l2", "device": "/dev/video99"}, count=1)


def test_another_embedder_is_refused(teaching: Teaching) -> None:
    teaching.ask(("left",), stripes(teaching.folder, 2, 2), [0] * 2)
    (teaching.folder / "m.tflite").write_bytes(build(shape=(1, 16, 16, 3), axes=(1, 3), head="none"))
    with pytest.raises(ModelError, match="is it another model"):
        teaching.ask(("left",), stripes(teaching.folder, 3, 2), [0] * 2)


def test_each_line_of_a_text_is_an_example(tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("\ufeffhello there\n\ngood morning\nhey you\n", "utf-8")
    (tmp_path / "bye.txt").write_bytes(b"goodbye\r\nsee you\r\nso long\xff\r\n")
    files = (str(tmp_path / "hello.txt"), str(tmp_path / "bye.txt"), str(tmp_path / "gone.txt"))
    request = TeachRequest(labels=("hello", "bye"), files=files, answers=(0, 1, 1))
    found = Lesson(request, lambda _told: None).run()
    assert found["answers"] == [0, 0, 0, 1, 1, 1]
    assert (found["features"], found["unreadable"]) == (4096, [files[2]])
