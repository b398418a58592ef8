from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from edged.config import loader
from edged.config.pipeline import PipelineSection
from edged.errors import ConfigError
from edged.sources.drivers import synthetic

if TYPE_CHECKING:
    from pathlib import Path

    from edged.config.root import Config

YARD = "cameras:\n  yard: {kind: synthetic, size: [320, 240], interval_s: 0.5, rotate: 180}\n"
TWINS = "model: {file: m.tflite, edgetpu_file: e.tflite}"


def read(tmp_path: Path, text: str) -> Config:
    return loader.loads(text, "edged.yaml", tmp_path)


def said(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [str(problem) for problem in caught.value.problems]


def pipelines(**blocks: str) -> str:
    return "pipelines:\n" + "".join(f"  {name}: {{{block}}}\n" for name, block in blocks.items())


def test_a_pipeline_gets_the_camera_as_its_source_with_keys_of_its_own(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        YARD
        + pipelines(
            gate="camera: yard, crop: [0, 0, 99, 99], rotate: 90", people="camera: yard, interval_s: 0"
        ),
    )
    gate, people = config.pipelines["gate"].source, config.pipelines["people"].source
    assert isinstance(gate, synthetic.Config)
    assert isinstance(people, synthetic.Config)
    assert (gate.size, gate.interval_s, gate.rotate, gate.crop) == ((320, 240), 0.5, "90", (0, 0, 99, 99))
    assert (people.size, people.interval_s, people.rotate, people.crop) == ((320, 240), 0, "180", None)
    assert config.pipelines["gate"].camera == "yard"


def test_a_worker_reads_what_main_read(tmp_path: Path) -> None:
    config = read(tmp_path, YARD + pipelines(gate="camera: yard, crop: [0, 0, 99, 99]"))
    section = config.pipelines["gate"]
    assert PipelineSection.model_validate(section.model_dump(mode="json")) == section


def test_relative_paths_of_a_camera_start_at_the_file(tmp_path: Path) -> None:
    text = "cameras: {yard: {kind: folder, path: photos}}\n" + pipelines(a="camera: yard")
    source: Any = read(tmp_path, text).pipelines["a"].source
    assert source.path == tmp_path / "photos"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            pipelines(a="camera: yrd"),
            "3:6: pipelines.a.camera: there is no camera 'yrd'; available: yard; did",
        ),
        (
            pipelines(a="camera: yard, source: {kind: synthetic}"),
            "4:15: pipelines.a.camera: write source or camera, not both",
        ),
        (
            pipelines(a="source: {kind: synthetic}, crop: [0, 0, 9, 9]"),
            "pipelines.a.crop: without camera, crop is a key of source: write it there",
        ),
        (
            pipelines(a="camera: yard, rotate: 45"),
            "pipelines.a.rotate is '45', but must be 0, 90, 180 or 270",
        ),
        (pipelines(a="camera: yard, interval_s: -1"), "pipelines.a.interval_s is '-1', but must be a number"),
        (pipelines(a="enabled: true"), "pipelines.a.source is missing (the source of pictures"),
    ],
)
def test_a_wrong_pipeline_is_told_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    (line,) = said(tmp_path, YARD + text)
    assert expected.partition(" ")[2] in line
    assert line.startswith("edged.yaml:4:")


def test_a_mask_is_the_cameras_and_so_is_the_rotation_that_it_is_written_for(tmp_path: Path) -> None:
    camera = "cameras: {yard: {kind: synthetic, rotate: 90, mask: [[[0, 0], [1, 0], [0, 1]]]}}\n"
    (line,) = said(tmp_path, camera + pipelines(a="camera: yard, rotate: 180"))
    assert "3:29: pipelines.a.rotate: the mask of the camera is written for its own rotation" in line
    source: Any = (
        read(tmp_path, camera + pipelines(a="camera: yard, crop: [0, 0, 99, 99]")).pipelines["a"].source
    )
    assert (source.rotate, len(source.mask)) == ("90", 1)


@pytest.mark.parametrize(
    ("camera", "expected"),
    [
        ("{kind: v5l2}", "cameras.yard.kind is 'v5l2', but must be "),
        ("{kind: v4l2, siz: 3}", "cameras.yard.siz: there is no key 'siz' (did you mean 'size'?)"),
        ("{kind: lines, path: /x}", "cameras.yard.kind is 'lines', but must be folder, "),
        ("{kind: folder, path: /x, watch: true}", "cameras.yard.watch: watch gives each picture to one"),
    ],
)
def test_a_wrong_camera_is_told_once(tmp_path: Path, camera: str, expected: str) -> None:
    (line,) = said(tmp_path, f"cameras: {{yard: {camera}}}\n" + pipelines(a="camera: yard", b="camera: yard"))
    assert expected in line
    assert line.startswith("edged.yaml:1:")


def test_without_any_camera_a_name_says_where_to_write_one(tmp_path: Path) -> None:
    (line,) = said(tmp_path, pipelines(a="camera: yard"))
    assert "there is no camera 'yard'; write it under cameras" in line


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("policy: prefer", "policy: prefer, device: pci", "so they need the same accelerator"),
        ("policy: require", "policy: prefer", "either both require the accelerator or none: write prefer"),
        ("policy: require", "policy: cpu", "either both require the accelerator or none: write prefer"),
        ("policy: prefer", "policy: cpu", ""),
        ("policy: require", "policy: require", ""),
    ],
)
def test_pipelines_of_a_camera_share_a_worker_and_so_its_accelerator(
    tmp_path: Path, one: str, other: str, expected: str
) -> None:
    text = YARD + pipelines(
        a=f"camera: yard, {TWINS}, accelerator: {{{one}}}",
        b=f"camera: yard, {TWINS}, accelerator: {{{other}}}",
    )
    if not expected:
        assert set(read(tmp_path, text).pipelines) == {"a", "b"}
        return
    (line,) = said(tmp_path, text)
    assert "pipelines a and b share camera yard" in line
    assert expected in line
