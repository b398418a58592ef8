from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import build_sound
import cv2
import numpy as np
from probe_models import LEVELS, NAMES, Probe, build
from taught_models import stripe, teach

from edged.ipc.bench_request import NOISE, BenchRequest
from edged.models.tflite import file as tflite_file
from edged.worker.bench import Measurement
from unit.sources import wav_files

if TYPE_CHECKING:
    from pathlib import Path


def _measured(tmp_path: Path, probe: Probe, **keys: Any) -> dict[str, Any]:
    model = tmp_path / "m.tflite"
    model.write_bytes(build(probe))
    pictures = []
    for name, level in LEVELS.items():
        pictures.append(str(tmp_path / f"{name}.png"))
        cv2.imwrite(pictures[-1], np.full((32, 32, 3), level, np.uint8))
    request = BenchRequest(
        model=str(model),
        sha256=tflite_file.read(model).sha256,
        labels=NAMES,
        pictures=tuple(pictures),
        answers=NAMES,
        runtime="litert" if "ai_edge_litert" in sys.modules else "auto",
        threads=1,
        model_keys=keys.pop("model_keys", {}),
        unsure=keys.pop("unsure", False),
        seconds=0.01,
    )
    return Measurement(BenchRequest.from_json(request.to_json()), lambda _: None).run()


def test_the_usual_values_are_tried_where_nothing_tells(tmp_path: Path) -> None:
    for span, best in (((0.0, 1.0), "0..1"), ((0.0, 255.0), "0..255"), ((-1.0, 1.0), "-1..1")):
        found = _measured(tmp_path, Probe(span), unsure=True)
        assert (found["normalize"], found["first"], found["images"]) == (best, 3, 3)
        assert found["tried"][best] == 1.0
        assert set(found["tried"]) == {"-1..1", "0..1", "0..255", "imagenet", "caffe"}


def test_the_values_of_the_command_line_are_used(tmp_path: Path) -> None:
    assert _measured(tmp_path, Probe(), model_keys={"normalize": "0..1"})["first"] == 3
    assert _measured(tmp_path, Probe(), model_keys={"normalize": "0..255"})["first"] == 1
    keys = {"normalize": "0..1", "output": "scores"}
    assert _measured(tmp_path, Probe(outputs=("features", "scores")), model_keys=keys)["first"] == 3


def test_a_taught_model_is_measured_with_its_head(tmp_path: Path) -> None:
    folder = teach(tmp_path, "garage", {"left": 2, "right": 12})
    pictures = [str(tmp_path / f"{column}.png") for column in (2, 12)]
    for path, column in zip(pictures, (2, 12), strict=True):
        cv2.imwrite(path, stripe(column, seed=0))
    request = BenchRequest(
        model=str(folder / "embedder.tflite"),
        sha256=tflite_file.read(folder / "embedder.tflite").sha256,
        labels=("left", "right"),
        pictures=tuple(pictures),
        answers=("left", "right"),
        runtime="litert" if "ai_edge_litert" in sys.modules else "auto",
        threads=1,
        seconds=0.01,
        head=str(folder / "head"),
    )
    found = Measurement(request, lambda _: None).run()
    assert (found["first"], found["images"]) == (2, 2)


def test_the_assumed_values_stay_where_no_others_are_better(tmp_path: Path) -> None:
    found = _measured(tmp_path, Probe((-1.0, 1.0), outputs=("scores",)), unsure=True)
    assert (found["normalize"], found["assumed"]) == ("-1..1", "-1..1")


def test_a_model_of_sound_is_judged_by_the_best_window_of_each_file(tmp_path: Path) -> None:
    model = build_sound.write(tmp_path)
    tones = zip(build_sound.LABELS[1:3], build_sound.TONES_HZ, strict=True)
    files = {name: wav_files.write(tmp_path / f"{hz}.wav", late(hz)) for name, hz in tones}
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    request = BenchRequest(
        model=str(model),
        sha256=tflite_file.read(model).sha256,
        labels=build_sound.LABELS,
        pictures=(*map(str, files.values()), str(broken)),
        answers=(*files, "Silence"),
        runtime="auto",
        threads=1,
        seconds=0.01,
    )
    found = Measurement(request, lambda _: None).run()
    assert (found["first"], found["images"], found["unreadable"]) == (2, 2, [str(broken)])
    assert len(found["invoke_ms"]) >= 10
    noise = replace(request, pictures=(NOISE,), answers=())
    assert len(Measurement(noise, lambda _: None).run()["invoke_ms"]) >= 10


def late(hz: int) -> np.ndarray:
    """Return silence, then a tone at the end."""
    return np.concatenate([np.zeros(16000), wav_files.tone(hz, 0.4)])
