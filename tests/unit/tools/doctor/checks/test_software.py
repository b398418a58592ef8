from __future__ import annotations

import pytest

from edged.models import runtimes
from edged.tools.doctor.checks import software
from unit.tools.doctor.doubles import GOOD, Survey, subject

PICTURES = {"numpy": "1.26.4", "opencv": "4.11.0"}
SENSORS = GOOD + (
    "sensors:\n"
    "  door: {kind: gpio, line: GPIO17}\n"
    "  gate: {kind: gpio, line: GPIO18}\n"
    "  attic: {kind: synthetic}\n"
)


def test_this_python_is_one_of_the_supported() -> None:
    assert software.python().status == "ok"


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_another_python_is_an_error(version: tuple[int, int]) -> None:
    assert software.python(version).status == "error"


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "available", lambda: {"litert": "2.1.6", "tflite-runtime": "2.14.0"})


@pytest.mark.usefixtures("both")
def test_both_runtimes_work() -> None:
    asked = Survey(
        {"runtime litert": {"version": "2"}, "runtime tflite-runtime": {"version": "3"}, "pictures": PICTURES}
    )
    found = software.runtime(asked)
    assert found.status == "ok"
    assert "litert 2" in found.detail
    assert "tflite-runtime 3" in found.detail


@pytest.mark.usefixtures("both")
def test_a_runtime_that_crashes_is_a_warning_while_the_other_works() -> None:
    found = software.runtime(Survey({"runtime litert": {"version": "2"}, "pictures": PICTURES}))
    assert found.status == "warning"
    assert "runtime tflite-runtime: ended by SIGSEGV" in found.detail


@pytest.mark.usefixtures("both")
def test_without_a_runtime_that_works_nothing_works() -> None:
    found = software.runtime(Survey({"pictures": PICTURES}))
    assert found.status == "error"
    assert "ai-edge-litert" in found.fix


@pytest.mark.usefixtures("both")
def test_without_opencv_nothing_works() -> None:
    asked = Survey({"runtime": {"version": "2"}, "pictures": "cv2 cannot be loaded (libGL.so.1)"})
    found = software.runtime(asked)
    assert found.status == "error"
    assert "libGL.so.1" in found.detail


def test_no_runtime_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "available", dict)
    assert software.runtime(Survey({})) == (
        "error",
        "no TFLite runtime is installed",
        "pip install ai-edge-litert",
    )


def test_a_driver_whose_extra_is_missing_names_it() -> None:
    asked = Survey({"driver": {}, "driver sensor gpio": "gpiod is missing: pip install 'edged[gpio]'"})
    found = software.drivers(subject(SENSORS), asked)
    assert found.status == "error"
    assert "sensor gpio: gpiod is missing" in found.detail
    assert "source synthetic, sensor synthetic" in found.detail
    assert found.fix == "pip install 'edged[gpio]'"
    assert asked.asked.count("driver sensor gpio") == 1


def test_a_driver_that_crashes_says_so() -> None:
    found = software.drivers(subject(SENSORS), Survey({}))
    assert found.status == "error"
    assert "driver sensor gpio: ended by SIGSEGV" in found.detail


def test_without_a_configuration_there_are_no_drivers_to_look_at() -> None:
    assert software.drivers(subject(), Survey({})).status == "skipped"
