from __future__ import annotations

from typing import Any

import pytest

from edged import sensors
from edged.config import needs
from edged.config.pipeline import PipelineSection
from edged.system.needs import Needs


def of(source: dict[str, Any], **keys: Any) -> Needs:
    return needs.of_pipelines([PipelineSection.model_validate({"source": source} | keys)])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"kind": "synthetic"}, Needs()),
        ({"kind": "folder", "path": "/srv/photos"}, Needs(files=("/srv/photos",))),
        ({"kind": "video", "url": "file:///srv/a%20b.mp4"}, Needs(files=("/srv/a b.mp4",))),
        ({"kind": "video", "url": "rtsp://u:p@cam/live"}, Needs(network=True)),
        ({"kind": "v4l2"}, Needs(devices=("/dev/video*",))),
        ({"kind": "v4l2", "device": "/dev/v4l/by-id/a"}, Needs(devices=("/dev/v4l/by-id/a",))),
    ],
)
def test_a_source_names_what_it_opens(source: dict[str, Any], expected: Needs) -> None:
    assert of(source) == expected


def test_an_accelerator_comes_along_unless_the_cpu_does_it() -> None:
    library = "/opt/tpu/libedgetpu.so"
    found = of(
        {"kind": "synthetic"},
        model={"file": "/m/a.tflite", "edgetpu_file": "/m/b.tflite"},
        accelerator={"policy": "prefer", "library": library},
    )
    assert found == Needs(files=(library,), devices=("/dev/bus/usb",), hotplug=True)
    assert of({"kind": "synthetic"}, accelerator={"library": library}) == Needs()


@pytest.mark.parametrize(
    ("library", "device", "expected"),
    [
        ("libedgetpu.so.1", "pci", Needs(devices=("/dev/apex_*",))),
        ("libedgetpu.so.1", "usb@2-1.4", Needs(devices=("/dev/bus/usb",), hotplug=True)),
        ("libedgetpu.so.1", ":0", Needs(devices=("/dev/apex_*", "/dev/bus/usb"), hotplug=True)),
        (
            "/opt/tpu/lib.so",
            "usb:1",
            Needs(files=("/opt/tpu/lib.so",), devices=("/dev/bus/usb",), hotplug=True),
        ),
    ],
)
def test_an_edge_tpu_is_reached_by_its_bus(library: str, device: str, expected: Needs) -> None:
    assert needs.of_device(library, device) == expected


def test_an_external_delegate_reaches_npus_and_gpus_or_the_nodes_that_are_named() -> None:
    npu = {"policy": "prefer", "library": "libvx_delegate.so"}
    assert "/dev/galcore" in of({"kind": "synthetic"}, accelerator=npu).devices
    named = of({"kind": "synthetic"}, accelerator=npu | {"nodes": ["/dev/npu*"]})
    assert named == Needs(devices=("/dev/npu*",))


def test_only_the_commands_of_sensors_start_programs() -> None:
    configs = {
        kind: sensors.load(kind).Config.model_validate({"kind": kind} | keys)
        for kind, keys in {
            "command": {"command": ["/bin/cat", "-u", "/run/tank"]},
            "serial": {"device": "/dev/ttyS0", "pattern": "(?P<a>[0-9]+)"},
            "gpio": {"line": "GPIO17"},
            "i2c": {"bus": 3, "address": "0x48", "registers": {"t": {"reg": "0x00"}}},
        }.items()
    }
    found = needs.of_sensors(configs.values())
    assert found == Needs(
        files=("/run/tank",),
        devices=("/dev/ttyS0", "/dev/gpiochip*", "/dev/i2c-3"),
        programs=("/bin/cat",),
    )
    without = needs.of_sensors(config for kind, config in configs.items() if kind != "command")
    assert not without.programs
