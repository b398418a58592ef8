from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edged.events import Attached
from edged.tools.doctor.checks import microphones as _microphones
from edged.tools.doctor.worker_runs import Run
from unit.tools.doctor.doubles import Ward, faulty, good, subject

if TYPE_CHECKING:
    from pathlib import Path

    from edged.tools.doctor.verdict import Verdict

EAR = """
node: n
pipelines:
  ear: {source: {kind: microphone, device: DEVICE}, model: {file: /m.tflite}}
"""
USB = "USB PnP Sound Device (plughw:CARD=Device)"


@pytest.fixture
def board(tmp_path: Path) -> Path:
    (tmp_path / "proc/asound").mkdir(parents=True)
    (tmp_path / "proc/asound/cards").write_text(" 1 [Device         ]: USB-Audio - USB PnP Sound Device\n")
    (tmp_path / "proc/asound/pcm").write_text("01-00: USB Audio : USB Audio : capture 1\n")
    return tmp_path


def microphones(root: Path, ward: Ward | None = None, text: str = "", **keys: object) -> Verdict:
    return asyncio.run(_microphones.microphones(subject(text, root, **keys), ward or Ward()))


def heard(level_dbfs: float) -> Run:
    run = good(3, "anomaly")
    reading = Attached("level", level_dbfs, "dBFS", "good", 0.0)
    run.outcomes = [replace(outcome, readings=(reading,)) for outcome in run.outcomes]
    return run


def test_a_machine_without_microphones(tmp_path: Path) -> None:
    assert microphones(tmp_path).status == "absent"


def test_a_microphone_is_listened_to_in_a_worker(board: Path) -> None:
    ward = Ward({USB: heard(-52.4)})
    assert microphones(board, ward) == ("ok", f"{USB}: gives sound (-52 dBFS)", "")
    (section,) = ward.sections.values()
    assert (section.source.kind, section.task.kind, section.model_file()) == ("microphone", "anomaly", None)


@pytest.mark.parametrize("device", ["plughw:CARD=Device", "auto", "plughw:1"])
def test_one_that_is_configured_is_tried_once(board: Path, device: str) -> None:
    ward = Ward({"ear": heard(-30)})
    assert microphones(board, ward, EAR.replace("DEVICE", device)).status == "ok"
    assert ward.sections.keys() == {"ear"}


def test_one_that_the_daemon_has_is_left_to_it(board: Path) -> None:
    ward = Ward()
    daemon = {"pipelines": {"ear": {"state": "running"}}}
    found = microphones(board, ward, EAR.replace("DEVICE", "auto"), daemon=daemon)
    assert found == ("ok", "ear: the running daemon has it", "")
    assert not ward.sections


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (heard(-120), "gives digital silence"),
        (Run(), "no sound within 30 s"),
        (faulty("source", "there is no program arecord: sudo apt install alsa-utils"), "no program arecord"),
    ],
)
def test_what_is_wrong_is_an_error_only_where_a_pipeline_needs_it(board: Path, run: Run, said: str) -> None:
    for name, text, status in ((USB, "", "warning"), ("ear", EAR.replace("DEVICE", "auto"), "error")):
        found = microphones(board, Ward({name: run}), text)
        assert found.status == status
        assert said in found.detail


def test_one_that_another_program_uses_is_a_warning(board: Path) -> None:
    run = faulty("source", "another program records from it", "busy")
    assert microphones(board, Ward({"ear": run}), EAR.replace("DEVICE", "auto")).status == "warning"
