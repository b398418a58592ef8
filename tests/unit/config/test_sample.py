"""What ``edged init`` writes is a good configuration, as it stands and with every line switched on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from edged.cli.main import main
from edged.config.loader import load
from edged.config.root import PipelineSection
from edged.config.sample import sample
from edged.sources import Offer
from edged.sources.discovery import Machine
from edged.tools.check import check

if TYPE_CHECKING:
    from pathlib import Path

USB = (
    Offer({"kind": "v4l2", "device": "/dev/video0"}, "HD Camera: #1"),
    Offer({"kind": "v4l2", "device": "/dev/v4l/by-id/usb-b"}, 'the "other" one'),
)
CSI = Offer({"kind": "picamera2"}, "the camera on the CSI connector")
MICROPHONE = Offer({"kind": "microphone", "device": "plughw:CARD=Device"}, "USB PnP Sound Device")
MACHINES = {
    "nothing": Machine(),
    "usb cameras": Machine(cameras=USB),
    "a Pi with all": Machine(cameras=(CSI, *USB), coral="usb", microphones=(MICROPHONE,)),
}


def switched_on(text: str) -> str:
    return re.sub(r"^( *)# ", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("change", [str, switched_on])
def test_it_is_valid_as_written_and_with_every_line_active(
    tmp_path: Path, machine: Machine, change: type[str]
) -> None:
    (path := tmp_path / "edged.yaml").write_text(change(sample(machine)))
    assert check(path) == []
    assert main(["check", "-c", str(path)]) == 0
    assert len(load(path).pipelines) == max(1, len(machine.cameras))


def test_with_every_line_active_it_has_every_block(tmp_path: Path) -> None:
    (path := tmp_path / "edged.yaml").write_text(switched_on(sample(Machine())))
    config = load(path)
    camera = config.pipelines["camera"]
    for block in (config.mqtt, config.jsonl, config.sensors, camera.gate, camera.trigger, camera.attach):
        assert block
    data = yaml.safe_load(path.read_text())
    assert data["pipelines"]["camera"]["model"]["file"] is None
    assert config.looked_at == ("board/temperature",)


def test_keys_without_a_default_have_an_example() -> None:
    text = sample(Machine())
    assert re.search(r"^# +username: *$", text, re.MULTILINE)
    assert "(such as porch-pi)" in text
    assert "(such as 1883)" not in text  # the sentence says it already


def test_every_choice_is_named() -> None:
    text = sample(Machine())
    assert "# prefer falls back to the CPU; require does not (cpu, prefer or require)" in text
    assert "pause or run (" not in text
    assert re.search(r"# rotate: 0$", text, re.MULTILINE)  # as everybody writes it


def test_a_microphone_is_shown_with_what_to_write() -> None:
    text = sample(Machine(microphones=(MICROPHONE,)))
    lines = [line.removeprefix("  ## ") for line in text.partition("records sound")[2].splitlines()[1:]]
    written = {"pipelines": yaml.safe_load("\n".join(lines))}
    assert written["pipelines"]["ear"]["source"] == dict(MICROPHONE.keys)
    assert PipelineSection.model_validate(written["pipelines"]["ear"]).source.kind == "microphone"
