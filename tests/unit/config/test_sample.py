"""What ``edged init`` writes is a good configuration, as it stands and with every line switched on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from edged.cli.main import main
from edged.config.loader import load
from edged.config.outputs import Mqtt
from edged.config.root import PipelineSection
from edged.config.sample import MODELINE, minimal, sample
from edged.sources import Offer
from edged.sources.discovery import Machine
from edged.tools.check import check

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Writer = Callable[..., str]

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
    return re.sub(r"^( *)# (?!yaml-language-server)", r"\1", text, flags=re.MULTILINE)


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
    camera = config.pipelines["photos"]
    for block in (config.mqtt, config.jsonl, config.sensors, camera.gate, camera.trigger, camera.attach):
        assert block
    data = yaml.safe_load(path.read_text())
    assert data["pipelines"]["photos"]["model"]["file"] is None
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


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("write", [sample, minimal])
def test_a_broker_that_is_named_is_active(tmp_path: Path, machine: Machine, write: Writer) -> None:
    broker = Mqtt.model_validate({"host": "b.lan", "port": 1884})
    own = (tmp_path / "state", tmp_path / "run")
    for change in (str, switched_on) if write is sample else (str,):
        (path := tmp_path / "edged.yaml").write_text(change(write(machine, own, broker=broker)))
        assert check(path) == []
        config = load(path)
        assert config.mqtt is not None
        assert config.mqtt.addresses == (("b.lan", 1884),)
        assert (config.state_dir, config.run_dir) == own


def test_the_minimal_one_has_the_same_sources_and_nothing_else(tmp_path: Path) -> None:
    machine = MACHINES["a Pi with all"]
    text = minimal(machine)
    assert text.startswith(f"{MODELINE}\n")
    assert len(text.splitlines()) < 25
    loaded = []
    for written in (text, sample(machine)):
        (path := tmp_path / "edged.yaml").write_text(written)
        loaded.append(load(path).pipelines)
    assert loaded[0] == loaded[1]


def test_init_takes_a_broker_and_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "--minimal", "--broker", "[::1]:1884"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["mqtt"] == {"host": "::1", "port": 1884}
    assert main(["init", "--broker", "b:x"]) == 64
    assert "--broker b:x: must be HOST or HOST:PORT" in capsys.readouterr().err


def test_the_schema_that_the_first_line_names_can_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "-o", str(tmp_path / "edged.schema.json")]) == 0
    assert main(["schema"]) == 0
    assert (tmp_path / "edged.schema.json").read_text() == capsys.readouterr().out
    assert main(["schema", "-o", str(tmp_path / "absent" / "s.json")]) == 73
