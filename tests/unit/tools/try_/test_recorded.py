"""A configuration on recordings: what can be tried, what is expected, and what differs."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import ConfigError, Refused
from edged.ipc.replay_request import Judged
from edged.models import bundled
from edged.tools.try_ import recorded

if TYPE_CHECKING:
    from pathlib import Path

PHOTOS = str(bundled.PHOTOS)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "edged.yaml"
    path.write_text(
        "sensors: {door: {kind: synthetic}}\n"
        "pipelines:\n"
        "  porch:\n"
        "    source: {kind: v4l2, device: /dev/video0, interval_s: 2, rotate: 90, crop: [0, 0, 99, 99]}\n"
        "    gate: {hours: ['07:00-22:00']}\n"
        "    attach: [door]\n"
        f"  album: {{source: {{kind: folder, path: {PHOTOS}, loop: true, interval_s: 3}}}}\n"
        "  street: {source: {kind: video, url: 'rtsp://camera.lan/x'}}\n"
        "  shaft: {source: {kind: sensors, channels: [door], step_s: 10, window: 8}, task: {kind: anomaly}}\n"
    )
    return path


def test_the_recording_takes_over_what_concerns_the_picture(config: Path) -> None:
    trial = recorded.choose(config, "porch", PHOTOS)
    source: Any = trial.section.source
    assert (source.kind, str(source.path), source.loop) == ("folder", PHOTOS, False)
    assert (source.interval_s, source.rotate, source.crop) == (2, "90", (0, 0, 99, 99))
    assert trial.section.gate is None
    assert trial.notes == ("porch: gate and attach cannot be tried on a recording: every sample is judged",)


def test_a_source_that_is_a_recording_is_tried_as_it_is_once(config: Path) -> None:
    trial = recorded.choose(config, "album", None)
    source: Any = trial.section.source
    assert (source.kind, source.loop, source.interval_s) == ("folder", False, 3)
    assert trial.notes == ()


@pytest.mark.parametrize(
    ("pipeline", "source", "sentence"),
    [
        (None, PHOTOS, "write --pipeline P: there are porch, album, street, shaft"),
        ("poch", PHOTOS, "did you mean porch?"),
        ("zzz", PHOTOS, "there are porch, album, street, shaft"),
        ("porch", None, "the source of porch is not a recording"),
        ("street", None, "the source of street is not a recording"),
        ("porch", "/dev/null", "it is not a photograph, a folder or a video"),
        ("porch", "rtsp://camera.lan/x", "it is not a photograph, a folder or a video"),
        ("porch", "nowhere", "there is no such file or folder"),
        ("shaft", PHOTOS, "only pictures, sound and text can be tried"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_a_way_out(
    config: Path, pipeline: str | None, source: str | None, sentence: str
) -> None:
    with pytest.raises(Refused, match=re.escape(sentence)):
        recorded.choose(config, pipeline, source)


def test_a_wrong_configuration_is_told_as_always(config: Path) -> None:
    config.write_text("pipelines: {porch: {source: {kind: webcam}}}\n")
    with pytest.raises(ConfigError):
        recorded.choose(config, None, PHOTOS)


def test_an_expectation_is_what_json_prints_or_shorter(tmp_path: Path) -> None:
    picture = Judged("a.jpg", 0, "cat", 0.71, (("cat", 0.71),), "unknown", ("end",))
    path = tmp_path / "expect.jsonl"
    shorter = '{"source": "b.jpg", "decision": "cat"}'
    path.write_text(f"# what the porch must see\n\n{json.dumps(recorded.line(picture))}\n{shorter}\n")
    assert recorded.expected(path) == [("a.jpg", "unknown"), ("b.jpg", "cat")]


@pytest.mark.parametrize(
    "line",
    ["cat", "[]", "7", '{"source": "a.jpg"}', '{"source": 7, "decision": "x"}', '{"source":', "[" * 9999],
)
def test_another_form_of_it_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "expect.jsonl"
    path.write_text(f"# fine\n{line}\n")
    with pytest.raises(Refused, match=r"expect\.jsonl:2: each line needs source and decision; `edged try"):
        recorded.expected(path)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no such file"):
        recorded.expected(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(Refused, match="not UTF-8"):
        recorded.expected(tmp_path / "binary")


def test_the_diff_names_what_is_missing_more_or_another() -> None:
    wanted = [("a", "cat"), ("b", "cat"), ("c", "dog")]
    assert recorded.differences(wanted, wanted) == []
    assert recorded.differences(wanted, [("a", "cat"), ("c", "cat"), ("d", "dog")]) == [
        "--- expected",
        "+++ decided",
        "-b: cat",
        "-c: dog",
        "+c: cat",
        "+d: dog",
    ]


def test_the_sum() -> None:
    total = recorded.Sum()
    assert total.empty
    total.add(Judged("a", 0, "cat", 0.7, (), "cat", ("start",)))
    assert total.lines() == ["1 picture: cat 1", "news: start 1, change 0, end 0"]
    total.add(Judged("b", 2.5, decision="cat", left_out="black"))
    assert total.lines()[0] == "2 pictures over 2.5 s: cat 2; left out 1"
