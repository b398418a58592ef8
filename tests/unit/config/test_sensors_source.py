from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.config.loader import loads
from edged.config.pipeline import PipelineSection
from edged.errors import ConfigError
from edged.sources.drivers.sensors import Config

SOURCE = {"kind": "sensors", "channels": ["v/x", "v/y"], "step_s": "0.02", "window": "64"}
ANOMALY = {"kind": "anomaly"}


def section(source: dict[str, Any] | None = None, **keys: Any) -> PipelineSection:
    return PipelineSection.model_validate({"source": {**SOURCE, **(source or {})}, "task": ANOMALY, **keys})


def said(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        loads(text, "f", Path("/"))
    return "\n".join(map(str, caught.value.problems))


def lengths(**source: Any) -> tuple[int, int, float]:
    made = section({"window": None, **source}).source
    assert isinstance(made, Config)
    return made.steps, made.hop_steps, made.gap_s


def test_samples_or_seconds() -> None:
    assert lengths(window="64") == (64, 32, 0.1)
    assert lengths(window="7") == (7, 4, 0.1)
    assert lengths(window_s="1.28", hop_s="0.64", max_gap_s="1") == (64, 32, 1)
    assert lengths(window="64", hop="64") == (64, 64, 0.1)
    assert lengths(window_s="0.3", step_s="0.1", hop="1") == (3, 1, 0.5)


def test_a_round_trip_to_the_worker_changes_nothing() -> None:
    before = section(
        {"mean": ["0", "1"], "std": ["1", "2"], "max_gap_s": "0.2"},
        task={"kind": "anomaly", "limit": "0.2"},
        model={"file": "/m"},
    )
    assert PipelineSection.model_validate(json.loads(json.dumps(before.model_dump(mode="json")))) == before
    assert before.follows == before.looks_at == ("v/x", "v/y")
    assert not before.bundled
    assert section().thresholds() == (0.5, 0.35)


SENSORS = "sensors:\n  v: {kind: synthetic, axes: [x, y], interval_s: 0.02}\n  w: {kind: synthetic}\n"


@pytest.mark.parametrize(
    ("source", "rest", "expected"),
    [
        (
            "window: 64, window_s: 2",
            "task: {kind: anomaly}",
            "window and window_s mean the same: write only one",
        ),
        ("step_s: 0.02", "task: {kind: anomaly}", "f:6:13: pipelines.p.source: write window, in samples"),
        ("window_s: 0.05", "task: {kind: anomaly}", "window_s: must be a whole number of samples of 0.02 s"),
        ("window: 64, max_gap_s: 0.01", "task: {kind: anomaly}", "max_gap_s: must be at least one sample"),
        (
            "window: 64, mean: [1]",
            "task: {kind: anomaly}",
            "mean: write one number for each of the 2 channels",
        ),
        ("window: 64, std: [1, 0]", "task: {kind: anomaly}", "std[1] is '0', but must be a number above 0"),
        ("window: 900000", "task: {kind: anomaly}", "window: a window has at most 1000000 values"),
        ("window: 64, rotate: 90", "task: {kind: anomaly}", "there is no key 'rotate'"),
        ("window: 64", "task: {kind: classify}", "edged brings nothing that classifies readings"),
        (
            "window: 64",
            "model: {file: m}\n    task: {kind: anomaly}",
            "task.kind: with a model, write limit",
        ),
        (
            "window: 64",
            "model: {file: m}\n    task: {kind: anomaly, limit: 1, history: 9}",
            "task.history: history is for anomaly without a model",
        ),
        ("window: 64", "model: {file: m, normalize: {}}", "normalize: normalize is for pictures"),
        (
            "window: 64",
            "model: {file: m, edgetpu_file: e}\n    accelerator: {policy: prefer}",
            "accelerator.policy: models over time run on the CPU",
        ),
        ("window: 64", "model: {file: m, edgetpu_file: e}", "edgetpu_file: models over time run on the CPU"),
    ],
)
def test_a_mistake_is_reported_at_its_key(source: str, rest: str, expected: str) -> None:
    step = "" if "step_s" in source else "step_s: 0.02, "
    text = f"pipelines:\n  p:\n    source: {{kind: sensors, channels: [v/x, v/y], {step}{source}}}\n"
    assert expected in said(f"{SENSORS}{text}    {rest}\n")


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (
            "[v/x, v/z]",
            "f:6:45: pipelines.p.source.channels[1]: there is no sensor 'v/z'; available: v/x, v/y, w",
        ),
        ("[v/x, v/x]", "f:6:45: pipelines.p.source.channels[1]: v/x is listed twice"),
        (
            "[v/x, w]",
            "w is read every 10 s, but readings more than 0.1 s apart are not joined into a window (max_gap",
        ),
    ],
)
def test_channels_must_exist_and_be_sampled_often_enough(channels: str, expected: str) -> None:
    source = f"kind: sensors, channels: {channels}, step_s: 0.02, window: 8"
    text = f"pipelines:\n  p:\n    source: {{{source}}}\n    task: {{kind: anomaly}}\n"
    assert expected in said(SENSORS + text)


def test_pictures_have_no_anomalies() -> None:
    with pytest.raises(ValueError, match="anomaly works on readings over time"):
        PipelineSection.model_validate({"source": {"kind": "synthetic"}, "task": ANOMALY})
    text = "pipelines:\n  p:\n    source: {kind: synthetic}\n    task: {limit: 1}\n"
    expected = "f:4:12: pipelines.p.task.limit: there is no key 'limit' (it belongs to kind anomaly)"
    assert said(text) == expected


def test_the_number_of_channels_is_bounded() -> None:
    names = [f"s{n}" for n in range(65)]
    text = "sensors:\n" + "".join(f"  {name}: {{kind: synthetic, interval_s: 1}}\n" for name in names)
    text += "pipelines:\n"
    for pipeline, part in (("a", names[:64]), ("b", names[64:])):
        text += (
            f"  {pipeline}:\n    task: {{kind: anomaly}}\n    source: {{kind: sensors, step_s: 1, window: 8,"
        )
        text += f" channels: [{', '.join(part)}]}}\n"
    assert "the pipelines use 65 sensor channels as input; the maximum is 64" in said(text)
