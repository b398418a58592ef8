"""From the words of the command line to a pipeline."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import build_sound
import detector_model
import pytest
from taught_models import teach, teach_text

from edged.errors import Refused
from edged.models import bundled
from edged.sources import Offer
from edged.sources.discovery import Machine
from edged.sources.drivers.folder import PAUSE_S
from edged.tools.try_ import Options
from edged.tools.try_.choice import pipeline
from unit.sources import wav_files

NOTHING = Machine()
DEVICE = "/dev/v4l/by-id/usb-cam-video-index0"
USB = Machine((Offer({"kind": "v4l2", "device": DEVICE}, "HD Webcam"),))
CSI = Machine((Offer({"kind": "picamera2"}, "the camera on the CSI connector"), *USB.cameras))


def chosen(found: Machine = NOTHING, **options: Any) -> dict[str, Any]:
    section, words = pipeline(Options(**options), found)
    return section.source.model_dump() | {"words": words}


@pytest.mark.parametrize("source", [None, "camera"])
def test_the_first_camera_is_taken(source: str | None) -> None:
    usb = chosen(USB, source=source)
    assert (usb["kind"], usb["device"], usb["words"]) == ("v4l2", DEVICE, "HD Webcam")
    assert chosen(CSI, source=source)["kind"] == "picamera2"


def test_without_a_camera_the_bundled_photographs_are_used() -> None:
    source = chosen()
    assert (source["kind"], source["path"], source["words"]) == (
        "folder",
        bundled.PHOTOS,
        "the bundled photographs",
    )
    with pytest.raises(Refused, match="no camera was found") as refused:
        chosen(source="camera")
    assert refused.value.status == 69


def test_files_are_read_once_and_repeated_for_a_count(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"x")
    (tmp_path / "p.JPG").write_bytes(b"x")
    for name, kind in (("v.mp4", "video"), ("p.JPG", "folder"), ("", "folder")):
        path = str(tmp_path / name)
        once = chosen(source=path)
        assert (once["kind"], once["loop"], once["interval_s"]) == (kind, False, 0)
        assert chosen(source=path, count=9)["loop"]


def test_a_live_view_is_slow_enough_to_watch(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"x")
    assert chosen(live=True)["interval_s"] == PAUSE_S
    assert chosen(live=True)["loop"]  # the demonstration goes on until Ctrl-C
    assert chosen(source=str(tmp_path / "v.mp4"), live=True)["realtime"]
    assert chosen(source="synthetic", live=True)["fps"] == 30
    assert chosen(source="synthetic")["fps"] is None


def test_an_address_is_a_network_camera_and_its_password_is_not_shown() -> None:
    source = chosen(source="rtsp://me:secret@cam:554/1")
    assert (source["kind"], source["url"]) == ("video", "rtsp://me:secret@cam:554/1")
    assert source["words"] == "rtsp://cam:554"


def test_a_device_is_a_camera() -> None:
    assert chosen(source="/dev/null") | {"words": ""} == chosen(source="/dev/null") | {
        "kind": "v4l2",
        "device": "/dev/null",
        "words": "",
    }


@pytest.mark.parametrize(
    ("options", "status", "sentence"),
    [
        ({"source": "none.jpg"}, 66, "none.jpg: there is no such file"),
        ({"source": "/dev/video99"}, 66, "there is no such file, folder or device"),
        ({"source": "x" * 5000}, 66, "file name too long"),
        ({"model": "none.tflite"}, 66, "--model none.tflite: there is no such file"),
        ({"source": "rtsp://" + "x" * 5000}, 64, "rtsp://x"),
    ],
)
def test_a_missing_file_is_refused(options: dict[str, Any], status: int, sentence: str) -> None:
    from pathlib import Path

    if "model" in options:
        options = {"model": Path(options["model"])}
    with pytest.raises(Refused, match=sentence) as refused:
        chosen(**options)
    assert refused.value.status == status


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "p.jpg")
    with pytest.raises(Refused, match="it is not a file, folder or camera"):
        chosen(source=str(tmp_path / "p.jpg"))


def test_model_labels_and_runtime_go_into_the_pipeline(tmp_path: Path) -> None:
    for name in ("m.tflite", "l.txt"):
        (tmp_path / name).write_bytes(b"x")
    options = Options(model=tmp_path / "m.tflite", labels=tmp_path / "l.txt", runtime="litert")
    model = pipeline(options, NOTHING)[0].model
    assert (model.file, model.labels, model.runtime) == (tmp_path / "m.tflite", tmp_path / "l.txt", "litert")
    with pytest.raises(Refused, match="write --model too"):
        pipeline(Options(labels=tmp_path / "l.txt"), NOTHING)


def test_the_folder_of_a_taught_model_is_a_model(tmp_path: Path) -> None:
    folder = teach(tmp_path, "garage", {"left": 2, "right": 12})
    model = pipeline(Options(source="photos", model=folder))[0].model
    assert (model.taught, model.file) == (folder, None)


def test_a_model_that_was_taught_with_texts_is_refused_with_what_runs_it(tmp_path: Path) -> None:
    folder = teach_text(tmp_path, "chat", {"hello": ["good morning"], "weather": ["will it rain"]})
    with pytest.raises(Refused, match=r"it was taught with texts; --source FILE\.txt has lines for it"):
        pipeline(Options(source="photos", model=folder))
    (tmp_path / "said.txt").write_text("good day\n")
    section, _ = pipeline(Options(source=str(tmp_path / "said.txt"), model=folder))
    assert (section.source.kind, section.task.kind, section.model.taught) == ("lines", "text", folder)
    pictures = teach(tmp_path, "garage", {"left": 2, "right": 12})
    with pytest.raises(Refused, match="it was taught with pictures; the source has lines of text"):
        pipeline(Options(source=str(tmp_path / "said.txt"), model=pictures))


@pytest.mark.parametrize("model", [None, Path("replies")])
def test_lines_of_text_are_for_the_bundled_replies(tmp_path: Path, model: Path | None) -> None:
    (tmp_path / "said.txt").write_text("good day\n")
    section, name = pipeline(Options(source=str(tmp_path / "said.txt"), model=model))
    assert (section.source.kind, section.task.kind, section.model.file) == ("lines", "text", bundled.REPLIES)
    assert name == str(tmp_path / "said.txt")
    os.mkfifo(tmp_path / "fifo")
    assert pipeline(Options(source=str(tmp_path / "fifo"), model=model))[0].source.kind == "lines"


def test_a_detector_is_tried_as_one(tmp_path: Path) -> None:
    model, labels = detector_model.write(tmp_path)
    section, _ = pipeline(Options(source="synthetic", model=model, labels=labels), NOTHING)
    assert (section.task.kind, section.publish.boxes) == ("detect", True)


def test_sound_needs_a_model_and_no_interval(tmp_path: Path) -> None:
    file = wav_files.write(tmp_path / "a.wav", wav_files.tone(440, 0.3))
    with pytest.raises(Refused, match="edged brings no model of sound: write --model yamnet"):
        pipeline(Options(source=str(file)), Machine())
    model = build_sound.write(tmp_path)
    section, description = pipeline(Options(source=str(file), model=model), Machine())
    assert (section.source.kind, section.source.every_s, description) == ("sound", 0.0, str(file))
