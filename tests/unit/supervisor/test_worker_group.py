from __future__ import annotations

from typing import Any

import pytest

from edged.config.root import Config, PipelineSection
from edged.supervisor.worker_group import WorkerGroup, groups

TPU = {"model": {"file": "/m", "edgetpu_file": "/e"}, "accelerator": {"policy": "prefer"}}
MUST = {"model": {"edgetpu_file": "/e"}, "accelerator": {"policy": "require"}}
OWN = {"source": {"kind": "synthetic"}}


def configured(**pipelines: Any) -> dict[str, PipelineSection]:
    cameras = {"yard": {"kind": "synthetic"}, "hall": {"kind": "synthetic", "seed": 1}}
    return Config.model_validate({"cameras": cameras, "pipelines": pipelines}).pipelines


def of(camera: str, **keys: Any) -> dict[str, Any]:
    return {"camera": camera} | keys


@pytest.mark.parametrize(
    ("pipelines", "usable", "expected"),
    [
        ({"a": OWN, "b": OWN}, True, [["a"], ["b"]]),
        ({"a": of("yard"), "b": OWN, "c": of("yard")}, True, [["a", "c"], ["b"]]),
        ({"a": of("yard"), "b": of("hall")}, True, [["a"], ["b"]]),
        ({"a": OWN | TPU, "b": OWN | TPU}, True, [["a", "b"]]),
        ({"a": OWN | TPU, "b": OWN | TPU}, False, [["a"], ["b"]]),
        ({"a": OWN | TPU, "b": OWN | MUST}, False, [["a"], ["b"]]),
        # What shares a camera with what shares an accelerator is all in one worker.
        ({"a": of("yard"), "b": of("yard", **TPU), "c": OWN | TPU}, True, [["a", "b", "c"]]),
        ({"a": of("yard"), "b": of("yard", **TPU), "c": OWN | TPU}, False, [["a", "b"], ["c"]]),
        (
            {"a": of("yard"), "b": of("hall"), "c": of("yard", **TPU), "d": of("hall", **TPU)},
            True,
            [["a", "b", "c", "d"]],
        ),
    ],
)
def test_pipelines_that_share_something_share_a_worker(
    pipelines: dict[str, Any], usable: bool, expected: list[list[str]]
) -> None:
    found = groups(configured(**pipelines), lambda _key: usable)
    assert sorted(list(sections) for sections in found.values()) == expected


def test_a_worker_is_known_by_its_accelerator_first() -> None:
    pipelines = configured(a=of("yard"), b=of("yard", **TPU), c=of("hall"), d=OWN)
    assert list(groups(pipelines, lambda _key: True)) == ["edgetpu libedgetpu.so.1 usb", "camera hall", "d"]
    assert list(groups(pipelines, lambda _key: False)) == ["camera yard", "camera hall", "d"]


def test_a_worker_goes_on_when_some_of_its_pipelines_are_switched_off() -> None:
    pipelines = configured(a=of("yard"), b=of("yard"), c=of("yard"))
    nothing: Any = None
    two = {name: pipelines[name] for name in ("a", "b")}
    group = WorkerGroup(two, "required", False, nothing, nothing)
    a, b, c = ({name: section} for name, section in pipelines.items())
    assert group.can_run(a | b, "required", {})
    assert group.can_run(b, "required", a)
    assert not group.can_run(b, "required", {}), "a is not configured any more, or runs elsewhere"
    assert not group.can_run(a | b, "optional", {})
    assert not group.can_run(a | b | c, "required", {}), "another one has come"
    changed = configured(a=of("yard", interval_s=9))
    assert not group.can_run(b | changed, "required", {})
    assert not group.can_run(b, "required", changed)
