"""The process that answers ``edged doctor``, asked for real."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edged.models import runtimes
from edged.tools.doctor import probe
from edged.tools.doctor.probe import Unanswered, ask


@pytest.mark.parametrize("name", sorted(runtimes.available()))
def test_a_runtime_that_is_installed_works(name: str) -> None:
    assert ask("runtime", name)["version"] == runtimes.available()[name]


def test_a_runtime_that_is_not_there_is_a_problem() -> None:
    with pytest.raises(Unanswered, match="there is no runtime tensorrt") as why:
        ask("runtime", "tensorrt")
    assert why.value.told


def test_pictures_and_the_machine() -> None:
    assert ask("pictures").keys() == {"numpy", "opencv"}


def test_a_machine_with_a_camera_at_its_connector(tmp_path: Path) -> None:
    assert ask("cameras", str(tmp_path)) == {"cameras": [], "identify": []}
    (tmp_path / "sys/class/video4linux/video0").mkdir(parents=True)
    (tmp_path / "sys/class/video4linux/video0/name").write_text("unicam-image\n")
    found = ask("cameras", str(tmp_path))
    assert [camera["keys"] for camera in found["cameras"]] == [{"kind": "picamera2"}]
    assert found["identify"] == ["picamera2"], "sysfs does not know which cameras they are"


def test_a_library_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(Unanswered, match="cannot be loaded"):
        ask("library", str(tmp_path / "libedgetpu.so.1"))


@pytest.mark.parametrize("name", ["gpio", "i2c", "serial", "synthetic"])
def test_drivers_of_sensors(name: str) -> None:
    assert ask("driver", "sensor", name) == {}


def test_a_driver_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpiod.py").write_text("raise ImportError('no gpiod here')")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(Unanswered, match=r"gpiod is missing: .*pip install 'edged\[gpio\]'"):
        ask("driver", "sensor", "gpio")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
            "driver sensor gpio: its process was ended by SIGSEGV",
        ),
        ("import time; time.sleep(60)", "driver sensor gpio: its process hung: no answer within 1 s"),
        ("raise MemoryError('all of it')", "MemoryError: all of it"),
    ],
)
def test_a_package_that_crashes_or_hangs_takes_nobody_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, sentence: str
) -> None:
    (tmp_path / "gpiod.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    with pytest.raises(Unanswered, match=sentence) as why:
        ask("driver", "sensor", "gpio", seconds=1 if "sleep" in code else probe.QUESTION_S)
    assert not why.value.told


def test_one_that_hangs_ends_with_whoever_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gpiod.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    asks = "from edged.tools.doctor.probe import ask; ask('driver', 'sensor', 'gpio')"
    with subprocess.Popen([sys.executable, "-c", asks]) as doctor:
        children = Path(f"/proc/{doctor.pid}/task/{doctor.pid}/children")
        deadline = time.monotonic() + 10
        while not children.read_text():
            assert time.monotonic() < deadline
            select.select([], [], [], 0.01)
        survey = os.pidfd_open(int(children.read_text()))
        doctor.kill()
    ended, _, _ = select.select([survey], [], [], 10)
    os.close(survey)
    assert ended
