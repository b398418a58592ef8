from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import build_sound
import pytest
from taught_models import teach, teach_text
from tflite_builder import Packed, build

from edged.errors import ModelError, Refused
from edged.models import bundled, runtimes
from edged.tools.bench import Options
from edged.tools.bench import plan as _plan
from unit.sources import wav_files

COLOURS = "red\ngreen\nblue\n"


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """A model that names the strongest colour."""
    path = tmp_path / "colours.tflite"
    path.write_bytes(build(axes=(1, 2), packed=Packed(labels=COLOURS)))
    return path


def folders(root: Path, *names: str) -> Path:
    for name in names:
        (root / "images" / name).mkdir(parents=True)
        (root / "images" / name / "1.jpg").write_bytes(b"")
    return root / "images"


def planned(*models: Path, **options: Any) -> _plan.Plan:
    return _plan.plan(Options(models, **options))[0]


def test_without_photographs_of_its_own_it_takes_the_bundled_ones(colours: Path) -> None:
    plan = planned(colours)
    assert [os.path.basename(path) for path in plan.pictures] == [  # noqa: PTH119 - they are strings here
        "01-cat.jpg",
        "02-espresso.jpg",
        "03-tripod.jpg",
    ]
    assert plan.answers == ()
    assert (plan.threads, plan.runtimes) == ((runtimes.default_threads(),), (runtimes.choose("auto"),))
    [candidate] = plan.candidates
    assert (candidate.size, candidate.picture, candidate.classes) == (colours.stat().st_size, (8, 8, 3), 3)
    assert (candidate.labels, candidate.device, candidate.problem) == ((), "", "")


def test_a_folder_is_the_answer_for_what_lies_in_it(colours: Path, tmp_path: Path) -> None:
    plan = planned(colours, images=folders(tmp_path, "red", "Blue"))
    assert plan.pictures == (f"{tmp_path}/images/Blue/1.jpg", f"{tmp_path}/images/red/1.jpg")
    assert plan.answers == ("Blue", "red")
    assert plan.candidates[0].labels == ("red", "green", "blue")


def test_the_bundled_classifier_needs_no_labels(tmp_path: Path) -> None:
    [candidate] = planned(bundled.MODEL, images=folders(tmp_path, "espresso")).candidates
    assert (candidate.problem, len(candidate.labels)) == ("", 1000)


def test_a_model_without_labels_has_a_latency_but_no_accuracy(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    path.write_bytes(build(axes=(1, 2)))
    assert planned(path).candidates[0].problem == ""
    [candidate] = planned(path, images=folders(tmp_path, "red")).candidates
    assert "no labels are packed in it" in candidate.problem


def test_a_folder_that_no_model_knows_is_refused(colours: Path, tmp_path: Path) -> None:
    with pytest.raises(
        Refused, match=r"'reed' \(did you mean 'red'\?\) is not among the labels of"
    ) as refused:
        planned(colours, images=folders(tmp_path, "reed", "blue"))
    assert refused.value.status == os.EX_USAGE
    assert str(colours) in str(refused.value)


def test_a_model_that_does_not_know_a_folder_is_set_aside(colours: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.tflite"
    other.write_bytes(build(axes=(1, 2), packed=Packed(labels="rot\ngreen\nblau\n")))
    first, second = planned(colours, other, images=folders(tmp_path, "red", "green")).candidates
    assert first.problem == ""
    assert second.problem == f"{other}: its labels have no 'red'"


def test_a_model_that_cannot_be_used_is_kept_with_its_problem(colours: Path, tmp_path: Path) -> None:
    broken, detector = tmp_path / "broken.tflite", tmp_path / "detector.tflite"
    broken.write_bytes(colours.read_bytes()[:300])
    detector.write_bytes(build(outputs=4))
    plan = planned(broken, detector, colours, tmp_path)
    problems = [candidate.problem for candidate in plan.candidates]
    assert "truncated or damaged" in problems[0]
    assert "object detector" in problems[1]
    assert problems[2] == ""
    assert "it is a folder" in problems[3]
    assert plan.candidates[0].size == 300


def test_labels_that_do_not_fit_are_the_problem_of_that_model(colours: Path, tmp_path: Path) -> None:
    (tmp_path / "two.txt").write_text("red\ngreen\n")
    [candidate] = planned(colours, labels=tmp_path / "two.txt").candidates
    assert "2 labels do not fit the 3 classes" in candidate.problem
    (tmp_path / "none.txt").write_text("")
    with pytest.raises(ModelError, match="the label file is empty"):
        planned(colours, labels=tmp_path / "none.txt")


def test_what_is_missing_is_refused(colours: Path, tmp_path: Path) -> None:
    none = tmp_path / "none"
    for models, options in (((none, colours), {}), ((colours,), {"labels": none})):
        with pytest.raises(Refused, match=f"there is no {none}") as refused:
            planned(*models, **options)
        assert refused.value.status == os.EX_NOINPUT


def test_all_runtimes_are_those_that_work_here(colours: Path) -> None:
    plan, notes = _plan.plan(Options((colours,), runtime="all"))
    left_out = [note for note in notes if "is left out" in note]
    assert len(plan.runtimes) + len(left_out) == len(runtimes.available())
    assert plan.runtimes[0] == runtimes.choose("auto")


def test_the_folder_of_a_taught_model_is_measured_with_its_head(tmp_path: Path) -> None:
    folder = teach(tmp_path / "state", "garage", {"left": 2, "right": 12})
    [candidate] = planned(folder, images=folders(tmp_path, "left", "right")).candidates
    assert (candidate.labels, candidate.classes, candidate.taught) == (("left", "right"), 2, True)
    assert (candidate.picture, candidate.problem) == ((16, 16, 3), "")
    text = teach_text(tmp_path / "state", "chat", {"greeting": ["hello"]})
    assert "it was taught with texts" in planned(text).candidates[0].problem


def test_a_model_of_text_is_timed_and_not_judged(colours: Path, tmp_path: Path) -> None:
    reader, eye = planned(Path("replies"), colours).candidates
    assert (reader.path, reader.problem, reader.picture, reader.text) == (bundled.REPLIES, "", (96,), True)
    assert not eye.text
    folders(tmp_path, "red")
    reader, _ = planned(Path("replies"), colours, images=tmp_path / "images").candidates
    assert reader.problem == f"{bundled.REPLIES}: it takes text, and {tmp_path}/images has photographs"


def test_sound_is_judged_on_sound_and_pictures_on_photographs(colours: Path, tmp_path: Path) -> None:
    model = build_sound.write(tmp_path)
    folder = tmp_path / "sounds" / "beep, bleep"
    folder.mkdir(parents=True)
    wav_files.write(folder / "a.wav", wav_files.tone(440, 0.3))
    ear, eye = planned(model, colours, images=tmp_path / "sounds").candidates
    assert (ear.problem, ear.picture, ear.classes, ear.sound) == ("", (build_sound.STEPS,), 4, True)
    assert eye.problem == f"{colours}: it takes pictures, and {tmp_path}/sounds has sound"
    ear, eye = planned(model, colours, images=folders(tmp_path, "red")).candidates
    assert ear.problem == f"{model}: it takes sound, and {tmp_path}/images has photographs"
    assert eye.problem == ""
