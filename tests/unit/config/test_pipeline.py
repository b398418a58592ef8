from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edged.config.accelerator import Accelerator
from edged.config.root import PipelineSection
from edged.models import bundled

SHA = "AB" * 32
TWINS = {"file": "/m", "edgetpu_file": "/e"}
SOUND = {"source": {"kind": "sound", "path": "/a.wav"}, "model": {"file": "/m"}}
NPU = {"policy": "prefer", "library": "libarmnn_delegate.so", "options": {"backends": "CpuAcc"}}


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
            "accelerator": {"policy": "require", "device": "usb:0", "options": {"Performance": "Max"}},
            "decision": {
                "threshold": "0.6",
                "votes": "2",
                "window": "3",
                "labels": {"cat": {"threshold": "0.1"}},
            },
        },
        {
            "model": {"file": "/m"},
            "accelerator": {
                "policy": "prefer",
                "library": "/usr/lib/libvx_delegate.so",
                "options": {"error_during_init": True, "allowed_builtin_code": 3, "cache": "x"},
                "nodes": ["/dev/galcore"],
            },
        },
        {
            "model": {"file": "/m", "edgetpu_file": "/e"},
            "accelerator": {"policy": "prefer", "library": "/t.so"},
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
        (
            {"model": {"file": "/m", "edgetpu_file": "/e"}, "accelerator": NPU},
            "edgetpu_file is for an Edge TPU, and this library runs file",
        ),
        ({"accelerator": {"nodes": ["/dev/x"], "policy": "prefer"}}, "nodes are for other accelerators"),
        ({"accelerator": NPU | {"nodes": ["galcore"]}}, "pattern"),
        ({"model": {"labels": "/l"}}, "labels needs a model: write file too"),
        ({"model": {"sha256": SHA}}, "sha256 needs a model: write file too"),
        ({"model": {"file": "/m", "edgetpu_sha256": SHA}}, "edgetpu_sha256 needs edgetpu_file"),
        ({"gate": {"above_dbfs": -40}}, "above_dbfs is for sources of sound: microphone, sound"),
        (SOUND | {"attach": ["level"]}, "level goes with each event of this source anyway"),
        (SOUND | {"attach": list("abcd")}, "at most 3 beside level"),
        (SOUND | {"model": {"file": "/m", "normalize": "0..1"}}, "normalize is for pictures"),
        ({"source": {"kind": "sound", "path": "/a.wav"}}, "nothing that classifies"),
    ],
)
def test_contradictory_keys_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        section(**keys)


@pytest.mark.parametrize(
    ("accelerator", "model", "kind", "port"),
    [
        ({}, {}, "cpu", "usb"),
        ({"device": "pci"}, {}, "cpu", "pci"),
        ({"policy": "prefer"}, TWINS, "edgetpu", "usb"),
        ({"policy": "prefer", "library": "/opt/libedgetpu.so.1.0"}, TWINS, "edgetpu", "usb"),
        ({"policy": "prefer", "options": {"Performance": "Max"}}, TWINS, "edgetpu", "usb"),
        ({"policy": "prefer", "library": "/opt/tpu.so", "device": "usb:1"}, TWINS, "edgetpu", "usb:1"),
        # A model for an Edge TPU, as 0.1.0 took it whatever its library was called.
        ({"policy": "prefer", "library": "/opt/tpu.so"}, TWINS, "edgetpu", "usb"),
        ({"policy": "prefer", "library": "libvx_delegate.so"}, {}, "external", "usb"),
        ({"policy": "require", "library": "libvx_delegate.so"}, {"file": "/m"}, "external", "usb"),
        ({"policy": "cpu", "library": "libvx_delegate.so"}, {"file": "/m"}, "cpu", "usb"),
        (NPU, {"file": "/m"}, "external", "usb"),
    ],
)
def test_the_kind_of_accelerator_follows_from_what_is_written(
    accelerator: dict[str, Any], model: dict[str, Any], kind: str, port: str
) -> None:
    pipeline = section(accelerator=accelerator, model=model)
    assert (pipeline.accelerator.kind, pipeline.accelerator.port) == (kind, port)


def test_an_external_delegate_runs_the_cpus_own_model() -> None:
    assert section(accelerator=NPU).model_file(accelerated=True) == bundled.MODEL
    assert section(accelerator=NPU, model={"file": "/m"}).model_file(accelerated=True) == Path("/m")
    assert section(accelerator={"policy": "prefer"}, model=TWINS).model_file(accelerated=True) == Path("/e")


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        (NPU, NPU | {"options": {"backends": "GpuAcc"}}, False),
        (NPU, {"policy": "prefer"}, False),
        ({"policy": "prefer"}, {"policy": "prefer", "device": "usb:0"}, True),
        ({"policy": "prefer"}, {"policy": "prefer", "options": {"Performance": "Max"}}, True),
        ({"policy": "prefer"}, {"policy": "cpu", "device": "usb:0"}, False),
        ({"policy": "prefer", "device": "usb@2-1"}, {"policy": "prefer", "device": "usb@2-2"}, False),
        ({"policy": "prefer", "device": "usb@2-1"}, {"policy": "prefer", "device": "usb:1"}, True),
        ({"policy": "prefer", "device": "usb@2-1"}, {"policy": "prefer", "device": ":1"}, True),
        ({"policy": "prefer", "device": "usb@2-1"}, {"policy": "prefer", "device": "pci:0"}, False),
    ],
)
def test_only_one_name_for_one_edge_tpu(one: dict[str, Any], other: dict[str, Any], contradict: bool) -> None:
    assert Accelerator(**one).contradicts(Accelerator(**other)) is contradict
    assert Accelerator(**other).contradicts(Accelerator(**one)) is contradict


def test_a_checksum_is_compared_in_small_letters() -> None:
    assert section(model={"file": "/m", "sha256": SHA}).model.sha256 == SHA.lower()
