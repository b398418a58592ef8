"""The words of ``edged teach``: what goes together, what is printed, with which status."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import cv2
import pytest
from taught_models import stripe, teach, teach_text

from edged.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state directory with the models ``garage`` and ``chat``."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    teach(tmp_path / "state", "garage", {"left": 2, "right": 12})
    teach_text(tmp_path / "state", "chat", {"greeting": ["hello", "hi there"], "weather": ["rain", "sun"]})
    return tmp_path / "state"


def test_models_and_their_labels_are_listed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["teach", "list"]) == 0
    printed = "chat: greeting (2), weather (2), version 1\ngarage: left (6), right (6), version 1\n"
    assert capsys.readouterr().out == printed
    assert main(["teach", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["garage"] == {"left": 6, "right": 6}
    assert main(["teach", "garage"]) == main(["teach", "garage", "list"]) == 0
    assert capsys.readouterr().out.count("garage, version 1: left (6), right (6)") == 2
    assert main(["teach", "garage", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["gives"] == "picture"
    assert sorted(path.name for path in (state / "models" / "taught").iterdir()) == ["chat", "garage"]


@pytest.mark.usefixtures("state")
@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("porch", os.EX_NOINPUT, "no taught model porch: edged teach porch --label LABEL --images DIR"),
        ("porch --evaluate", os.EX_NOINPUT, "no taught model porch; there are: chat, garage"),
        ("Porch --undo", os.EX_USAGE, "a name has 1 to 32 characters"),
        ("garage --label left", os.EX_USAGE, "Write --images, --text or --source"),
        ("garage --images a --source camera --label x", os.EX_USAGE, "--images or --source, not both"),
        ("garage --source camera", os.EX_USAGE, "--source needs --label"),
        ("garage --source camera --evaluate", os.EX_USAGE, "--evaluate judges files"),
        ("garage --evaluate --images a --label x", os.EX_USAGE, "leave --label out"),
        ("garage forget", os.EX_USAGE, "write list, forget LABEL or remove"),
        ("garage forget pink", os.EX_USAGE, "garage has no label 'pink'; it has left, right"),
        ("garage remove --label x", os.EX_USAGE, "--label does not go with this"),
        ("garage --undo", os.EX_NOINPUT, "there is no version before it"),
        ("list --evaluate", os.EX_USAGE, "--evaluate does not go with this"),
        ("garage --images /nowhere --label x", os.EX_NOINPUT, "no such file"),
        ("garage list -c /nowhere.yaml", os.EX_CONFIG, "there is no such file"),
    ],
)
def test_what_does_not_go_together_is_refused(
    words: str, status: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["teach", *words.split()]) == status
    assert said in capsys.readouterr().err


@pytest.mark.usefixtures("state")
def test_a_label_that_is_an_answer_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), stripe(2))
    assert main(["teach", "garage", "--label", "unknown", "--images", str(tmp_path)]) == os.EX_USAGE
    assert "teach such examples as 'other'" in capsys.readouterr().err


def test_pictures_are_counted_down_and_judged(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seen").mkdir()
    for number in range(3):
        cv2.imwrite(str(tmp_path / "seen" / f"{number}.png"), stripe(7, 50 + number))
    words = ["--label", "middle", "--source", str(tmp_path / "seen"), "-n", "3", "--every", "0"]
    assert main(["teach", "garage", *words]) == 0
    printed, noted = capsys.readouterr()
    assert "3 pictures of middle, and none is kept" in noted
    assert not (state / "models" / "taught" / "garage" / "pictures").exists()
    assert "picture 1 taken, 2 left\npicture 2 taken, 1 left\nthe last picture is taken\n" in printed
    assert "garage, version 2: left (6), right (6), middle (3)" in printed
    assert "model: {taught: garage}" in printed
    assert main(["teach", "garage", "--evaluate"]) == 0
    printed = capsys.readouterr().out
    assert "each left out in turn" in printed
    assert "is \\ named" in printed
    assert "next: other: photographs of what else may be there" in printed


def test_pictures_of_a_camera_are_kept_only_where_that_was_asked_for(
    state: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "seen").mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / "seen" / f"{number}.png"), stripe(7, 50 + number))
    words = ["--label", "my/cup", "--source", str(tmp_path / "seen"), "-n", "2", "--every", "0"]
    kept = state / "models" / "taught" / "garage" / "pictures"
    assert main(["teach", "garage", *words, "--keep"]) == 0
    assert f"2 pictures are kept in {kept}/my%2Fcup, for their owner alone" in capsys.readouterr().err
    files = sorted((kept / "my%2Fcup").iterdir())
    assert [file.stat().st_mode & 0o777 for file in (kept, *files)] == [0o700, 0o600, 0o600]
    shown = [cv2.imread(str(file)) for file in files]
    assert [int(picture.mean(axis=(0, 2)).argmax()) for picture in shown] == [7, 7]
    assert main(["teach", "garage", *words[:2], "--source", str(tmp_path / "away"), "--keep"]) != 0
    assert len(list((kept / "my%2Fcup").iterdir())) == 2, "no empty file stays"
    assert main(["teach", "garage", "--keep", "--label", "cup", "--images", str(tmp_path / "seen")]) == 64
    assert main(["teach", "garage", "forget", "my/cup"]) == 0
    assert not (kept / "my%2Fcup").exists()


def test_a_model_that_is_removed_leaves_nothing(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["teach", "garage", "remove"]) == 0
    assert "with everything that it was taught" in capsys.readouterr().out
    assert [path.name for path in (state / "models" / "taught").iterdir()] == ["chat"]
