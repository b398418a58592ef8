"""Inputs of users that were collected beside the repository; skipped where they are not there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from conftest import ROOT

from edged.config.loader import load
from edged.errors import Unavailable
from edged.sensors import load as driver
from edged.tools.check import check
from edged.worker import sensor_trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CASES = ROOT.parent / "shared" / "cases"
pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"the collected inputs are not there: {CASES}")


@pytest.fixture
def tree(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that makes the tree of a case."""

    def planted(case: str) -> Path:
        for line in (CASES / "sensors" / case / "tree.txt").read_text("utf-8").splitlines():
            link, _, target = line.partition(" -> ")
            name, _, text = line.rpartition(":")
            path = tmp_path / (link if target else name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target) if target else path.write_text(text)
        return tmp_path

    return planted


def read(case: str, root: Path, **more: Any) -> list[tuple[Any, str]]:
    keys = yaml.safe_load((CASES / "sensors" / case / "config.yaml").read_text("utf-8"))
    module = driver(keys["kind"])
    sensor = module.create(module.Config(**keys, **more, root=root))
    sensor.open()
    try:
        return [(reading.value, reading.unit) for reading in sensor.read()]
    finally:
        sensor.close()


def test_differential_channels(tree: Callable[[str], Path]) -> None:
    assert read("iio-differential", tree("iio-differential")) == [(pytest.approx(-0.015), "V")]


def test_two_chips_of_one_name(tree: Callable[[str], Path]) -> None:
    root = tree("iio-two-bme280")
    with pytest.raises(Unavailable, match="choose one of at: 1-0076, at: 1-0077"):
        read("iio-two-bme280", root)
    assert read("iio-two-bme280", root, at="1-0077") == [(7.45, "°C")]


@pytest.mark.parametrize(
    ("mode", "value", "reason"),
    [
        ("vc", 48.3, ""),
        ("comma", 21.5, ""),
        ("unit", 21.5, ""),
        ("bg", 5.0, ""),
        ("neg", -3.0, ""),
        ("words", None, "the program printed 'OK 21.5', neither a number nor JSON"),
    ],
)
def test_what_commands_print(mode: str, value: float | None, reason: str) -> None:
    module = driver("command")
    sensor = module.create(module.Config(command=["/bin/sh", str(CASES / "host" / "prints.sh"), mode]))
    sensor.open()
    (reading,) = sensor.read()
    assert (reading.value, reading.reason) == (value, reason)


def test_fahrenheit_is_converted(tmp_path: Path) -> None:
    shutil.copy(CASES / "yaml" / "fahrenheit.yaml", tmp_path)
    folder = tmp_path / "tree/bus/iio/devices/iio:device0"
    folder.mkdir(parents=True)
    (folder / "name").write_text("bmp280")
    (folder / "in_temp_input").write_text("21500")
    found = sensor_trial.read_once(load(tmp_path / "fahrenheit.yaml").sensors)
    assert [(r["value"], r["unit"]) for r in found["s"]["readings"]] == [(70.7, "°F")]


@pytest.mark.parametrize(("name", "at"), [("nbsp.yaml", "3:1"), ("nbsp2.yaml", "4:10")])
def test_no_break_spaces_are_named(name: str, at: str) -> None:
    (problem,) = check(CASES / "yaml" / name)
    assert (problem.where, problem.what) == (
        f"{CASES / 'yaml' / name}:{at}",
        "U+00A0 (no-break space) is not a space",
    )


@pytest.fixture
def device(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The collected serial device, in the mode of the test, as ``tty`` beside the configuration."""
    program = [
        sys.executable,
        "-u",
        str(CASES / "sensors" / "ptydev.py"),
        str(tmp_path / "tty"),
        request.param,
    ]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
        try:
            wait = time.monotonic() + 5
            while not (tmp_path / "tty").exists():
                assert time.monotonic() < wait
            yield tmp_path
        finally:
            running.kill()


@pytest.mark.parametrize("device", ["split"], indirect=True)
def test_one_value_a_line(device: Path) -> None:
    shutil.copy(CASES / "sensors" / "split.yaml", device)
    found = sensor_trial.read_once(load(device / "split.yaml").sensors)
    assert all(reading["quality"] == "good" for reading in found["air"]["readings"])


@pytest.mark.parametrize("device", ["sds011"], indirect=True)
def test_sds011(device: Path) -> None:
    text = "node: a\nsensors: {dust: {kind: serial, device: tty, protocol: sds011}}\n"
    (device / "edged.yaml").write_text(text)
    found = sensor_trial.read_once(load(device / "edged.yaml").sensors)
    assert [(r["channel"], r["value"]) for r in found["dust"]["readings"]] == [
        ("pm2_5", 123.4),
        ("pm10", 180.2),
    ]
