from __future__ import annotations

from typing import TYPE_CHECKING

import detector_model
import pytest
from probe_models import NAMES, Probe, build
from taught_models import teach

from edged.cli import terminal
from edged.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "m.tflite").write_bytes(build(Probe()))
    (tmp_path / "l.txt").write_text("\n".join(NAMES))
    return tmp_path / "m.tflite"


def test_lists_what_a_model_can_say(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "--model", str(model), "--labels", str(model.with_name("l.txt"))]) == 0
    assert capsys.readouterr().out.split() == list(NAMES)


def test_lists_what_a_taught_model_can_say(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = teach(tmp_path, "garage", {"left": 2, "right": 12})
    assert main(["labels", "--model", str(folder)]) == 0
    assert capsys.readouterr().out.split() == ["left", "right"]


def test_searches_whatever_the_case_and_the_accents(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "EGYPTIAN_cát"]) == 0
    assert capsys.readouterr().out == "Egyptian cat\n"


def test_names_what_may_be_meant_where_nothing_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["labels", "egiptian cat"]) == 1
    out, error = capsys.readouterr()
    assert out == ""
    assert error == "edged: no label contains 'egiptian cat'; did you mean 'Egyptian cat'?\n"


def test_lists_the_pipelines_of_a_configuration(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = model.with_name("edged.yaml")
    config.write_text(
        "pipelines:\n"
        "  porch:\n    source: {kind: synthetic}\n    model: {file: m.tflite, labels: l.txt}\n"
        "  yard: {source: {kind: synthetic}}\n"
    )
    assert main(["labels", "-c", str(config), "ar"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("porch:\n  dark\n")
    assert "yard:\n" in out


def test_the_configuration_of_the_service_is_the_default(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = model.with_name("edged.yaml")
    config.write_text(
        "pipelines:\n  porch:\n    source: {kind: synthetic}\n    model: {file: m.tflite, labels: l.txt}\n"
    )
    monkeypatch.setattr(terminal, "DEFAULT_CONFIG", str(config))
    assert main(["labels"]) == 0
    assert capsys.readouterr().out.split() == list(NAMES)


@pytest.mark.parametrize(
    "words", [["--labels", "l.txt"], ["-c", "x", "--model", "m.tflite"], ["--output", "0"]]
)
def test_options_that_do_not_go_together_are_refused(words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["labels", *words])
    assert ended.value.code == 64


def test_a_detector_has_labels_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, labels = detector_model.write(tmp_path)
    assert main(["labels", "--model", str(model), "--labels", str(labels), "blu"]) == 0
    assert capsys.readouterr().out == "blue\n"
