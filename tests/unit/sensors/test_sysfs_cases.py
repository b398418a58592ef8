"""Trees as kernels show them, and what the drivers read there: a folder of ``tests/cases/sensors`` each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from edged import sensors
from edged.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2] / "cases" / "sensors"
CASES = sorted(path.parent for path in ROOT.glob("*/*/config.yaml"))


def test_there_are_cases() -> None:
    assert {case.parent.name for case in CASES} >= {"hwmon", "iio", "w1", "thermal", "system"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_driver_reads_a_tree(case: Path, plant: Callable[[str], Path]) -> None:
    keys: dict[str, Any] = yaml.safe_load((case / "config.yaml").read_text("utf-8"))
    expected = json.loads((case / "expected.json").read_text("utf-8"))
    module = sensors.load(keys["kind"])
    sensor = module.create(module.Config(**keys, root=plant((case / "tree.txt").read_text("utf-8"))))
    if isinstance(expected, dict):
        with pytest.raises(Unavailable, match=expected["says"]) as caught:
            sensor.open()
        assert caught.value.reason == expected["unavailable"]
        return
    sensor.open()
    readings = sensor.read()
    sensor.close()
    assert [reading.channel for reading in readings] == [wanted["channel"] for wanted in expected]
    for reading, wanted in zip(readings, expected, strict=True):
        value = wanted["value"]
        assert reading.value == (pytest.approx(value, abs=1e-6) if type(value) is float else value)
        assert (reading.unit, reading.quality) == (wanted["unit"], wanted["quality"])
        assert reading.reason == wanted.get("reason", "")
