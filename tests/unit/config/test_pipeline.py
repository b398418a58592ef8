from __future__ import annotations

import json
from typing import Any

import pytest

from edged.config.root import PipelineSection

SHA = "AB" * 32


def section(**keys: Any) -> PipelineSection:
    return PipelineSection.model_validate({"source": {"kind": "synthetic"}, **keys})


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"source": {"kind": "folder", "path": "/p", "rotate": "90", "crop": ["1", "2", "3", "4"]}},
        {"source": {"kind": "synthetic", "size": ["64", "48"], "fps": "5", "fault": "hang"}},
        {"source": {"kind": "v4l2", "device": "/dev/video0"}},
        {"source": {"kind": "picamera2", "hflip": "yes"}},
        {"source": {"kind": "video", "url": "rtsp://u:p@h/1"}},
        {
            "model": {
                "file": "/m",
                "labels": "/l",
                "sha256": SHA,
                "edgetpu_file": "/e",
                "edgetpu_sha256": SHA,
            },
            "accelerator": {"policy": "require", "device": "usb:0"},
            "decision": {
                "threshold": "0.6",
                "votes": "2",
                "window": "3",
                "labels": {"cat": {"threshold": "0.1"}},
            },
        },
        {
            "model": {"file": "/m", "normalize": {"mean": "0", "std": "255"}},
            "decision": {"ignore": ["a", "b"]},
        },
    ],
)
def test_a_round_trip_to_the_worker_changes_nothing(keys: dict[str, Any]) -> None:
    before = section(**keys)
    over_the_pipe = json.loads(json.dumps(before.model_dump(mode="json")))
    after = PipelineSection.model_validate(over_the_pipe)
    assert after == before
    assert type(after.source) is type(before.source)
    assert type(after.source).__module__ != "edged.sources"
    assert after.model_dump_json() == before.model_dump_json()


@pytest.mark.parametrize(
    ("model", "decision", "label", "expected"),
    [
        ({}, {}, None, (0.25, 0.175)),
        ({"file": "/m"}, {}, None, (0.5, 0.35)),
        ({"edgetpu_file": "/m"}, {}, None, (0.5, 0.35)),
        ({}, {"threshold": 0.8}, None, (0.8, 0.56)),
        ({}, {"threshold": 0.8, "exit_threshold": 0}, "cat", (0.8, 0)),
        (
            {},
            {"threshold": 0.8, "exit_threshold": 0.7, "labels": {"cat": {"threshold": 0.4}}},
            "cat",
            (0.4, 0.28),
        ),
        ({}, {"threshold": 0.8, "labels": {"cat": {"threshold": 0.4}}}, "dog", (0.8, 0.56)),
        ({}, {"threshold": 0.8, "labels": {"cat": {"exit_threshold": 0.1}}}, "cat", (0.8, 0.1)),
        ({}, {"labels": {"cat": {"threshold": 0.4, "exit_threshold": 0.4}}}, "cat", (0.4, 0.4)),
    ],
)
def test_thresholds_follow_from_what_is_written(
    model: dict[str, Any], decision: dict[str, Any], label: str | None, expected: tuple[float, float]
) -> None:
    accelerator = {"policy": "require"} if "edgetpu_file" in model else {}
    pipeline = section(model=model, decision=decision, accelerator=accelerator)
    assert pipeline.thresholds(label) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"decision": {"exit_threshold": 0.3}}, r"exit_threshold \(0.3\) is above threshold \(0.25\)"),
        ({"decision": {"threshold": 0.4, "exit_threshold": 0.5}}, "is above threshold"),
        ({"decision": {"labels": {"a": {"exit_threshold": 0.5}}}}, "is above threshold"),
        ({"decision": {"votes": 3, "window": 2}}, "3 votes cannot come from a window of 2"),
        ({"accelerator": {"policy": "prefer"}}, "prefer needs model.edgetpu_file"),
        ({"accelerator": {"policy": "require"}, "model": {"file": "/m"}}, "require needs model.edgetpu_file"),
        ({"accelerator": {"policy": "prefer"}, "model": {"edgetpu_file": "/m"}}, "also needs file"),
        ({"model": {"labels": "/l"}}, "labels needs a model: write file too"),
        ({"model": {"sha256": SHA}}, "sha256 needs a model: write file too"),
        ({"model": {"file": "/m", "edgetpu_sha256": SHA}}, "edgetpu_sha256 needs edgetpu_file"),
    ],
)
def test_contradictory_keys_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        section(**keys)


def test_a_checksum_is_compared_in_small_letters() -> None:
    assert section(model={"file": "/m", "sha256": SHA}).model.sha256 == SHA.lower()
