"""It lists what it would write, asks, and shows a part whose name is typed."""

from __future__ import annotations

import argparse
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from edged.cli import support_bundle, terminal
from edged.tools import doctor
from edged.tools import support_bundle as tool

if TYPE_CHECKING:
    from pathlib import Path

PARTS = [tool.Part("check.txt", "what edged check says", "good\n")]


@pytest.fixture(autouse=True)
def collected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "examine", lambda *_, **__: [])
    monkeypatch.setattr(tool, "collect", lambda *_: PARTS)


def run(path: Path, *words: str, answers: str = "", monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(answers))
    parser = argparse.ArgumentParser()
    support_bundle.configure(parser)
    return support_bundle.run(parser.parse_args(["-o", str(path), *words]))


@pytest.mark.parametrize("answers", ["", "n\n", "check.txt\n", "what\n"])
def test_without_a_yes_nothing_is_written(
    answers: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(tmp_path / "it.tar.gz", answers=answers, monkeypatch=monkeypatch) == 1
    printed = capsys.readouterr().out
    assert "check.txt" in printed
    assert ("\ngood\n" in printed) == answers.startswith("check")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "answers"), [((), "check.txt\ny\n"), (("--yes",), "")])
def test_with_a_yes_only_this_user_can_read_it(
    words: tuple[str, ...], answers: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "it.tar.gz"
    assert run(path, *words, answers=answers, monkeypatch=monkeypatch) == 0
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as archive:
        assert archive.getnames() == ["edged-support/check.txt"]
    assert run(path, "--yes", monkeypatch=monkeypatch) == terminal.CANNOT_CREATE
