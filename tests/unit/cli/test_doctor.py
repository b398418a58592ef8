from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

import pytest

from edged.cli import doctor
from edged.errors import Refused
from edged.tools import doctor as tool
from edged.tools.doctor import Check, Status

if TYPE_CHECKING:
    from pathlib import Path

FOUND = [Check("board", Status.OK, "Raspberry Pi 5, aarch64, 4 cores")]


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    doctor.configure(parser)
    return doctor.run(parser.parse_args(words))


@pytest.fixture(autouse=True)
def examined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool, "examine", lambda *_, **__: FOUND)


def test_a_report_is_written_besides_what_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "report.jsonl"
    assert run("--json", "--report", str(path)) == 0
    assert json.loads(capsys.readouterr().out)["checks"] == [check.data() for check in FOUND]
    assert json.loads(path.read_text("utf-8"))["checks"] == [check.data() for check in FOUND]


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be written: No such file or directory"):
        run("--report", str(tmp_path / "nowhere" / "report.jsonl"))
