"""`edged log` as a person reads it, at 80 columns and fewer."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from edged.cli.main import main
from edged.daemon.decision_log import NAME

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> str:
    now = datetime.now(tz=UTC)

    def line(ago: timedelta, kind: str, label: str = "", previous: str = "unknown", **more: Any) -> str:
        data = {"ts": (now - ago).isoformat(), "type": kind, "pipeline": "porch"} | more
        decided = {"label": label, "score": 0.77, "previous": previous} if label else {}
        return json.dumps(data | decided) + "\n"

    (tmp_path / NAME).write_text(
        line(timedelta(hours=40), "start", "tripod", pipeline="a-pipeline-with-a-very-long-name")
        + line(timedelta(hours=30), "start", "Egyptian cat", clock="unsynced")
        + line(timedelta(hours=29), "change", "gaşt\x1b[2J\n[bold]" + 100 * "ö", "Egyptian cat")
        + line(timedelta(hours=2), "end", "unknown", "gaşt\x1b[2J\n[bold]" + 100 * "ö")
        + line(timedelta(minutes=10), "off")
        + line(timedelta(minutes=5), "start", "espresso")
    )
    (tmp_path / "edged.yaml").write_text(f"state_dir: {tmp_path}\nbogus: 1\n")
    return str(tmp_path / "edged.yaml")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_table_fits_the_terminal(
    config: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("edged.cli.log.WIDTH", columns)
    assert main(["log", "-c", config, "--since", "3d"]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= columns
    assert "Egyptian cat" in out
    assert "switched off" in out
    assert "~ the clock was not set" in out
    if columns >= 80:
        assert "1 d 3 h" in out
        assert re.search(r"5 min \d+ s …", out)


def test_what_began_before_and_lasted_is_shown(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "-c", config]) == 0
    out = capsys.readouterr().out
    assert "tripod" in out
    assert "Egyptian cat" not in out, "it had ended by then"
    assert "gaşt" in out


def test_one_pipeline(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "-c", config, "--pipeline", "porch", "--since", "1h"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:2]] == ["off"]
    assert main(["log", "-c", config, "--pipeline", "yard"]) == 1
    assert "nothing was decided by yard since" in capsys.readouterr().err


def test_json_lines_are_those_that_are_kept(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "-c", config, "--since", "1h", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["type"] for line in lines] == ["off", "start"]
    assert main(["log", "-c", config, "--since", "1s", "--json"]) == 1


def test_what_a_person_gets_wrong_is_a_sentence(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "-c", config, "--since", "tonight"]) == 64
    assert "write a time (22:00)" in capsys.readouterr().err
    (tmp_path / NAME).unlink()
    assert main(["log", "-c", config]) == 66
    assert "log: {max_mb: 0}" in capsys.readouterr().err
