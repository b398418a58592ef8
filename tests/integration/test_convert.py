"""``edged convert`` with the real TensorFlow: every format, every mode, what is refused.

It needs TensorFlow: in this Python, or in that of EDGED_CONVERT_PYTHON, which has edged and edged[convert].
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("EDGED_CONVERT_PYTHON") or (
    sys.executable if importlib.util.find_spec("tensorflow") else ""
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not PYTHON, reason="no TensorFlow: pip install edged[convert], or EDGED_CONVERT_PYTHON"
    ),
]
SOURCES = {
    "savedmodel": ("saved2",),
    "savedmodel of TensorFlow 1": ("saved1",),
    "keras": ("m.keras",),
    "h5": ("m.h5",),
    "frozen": ("frozen.pb",),
    "metagraph": ("ckpt/model-1.meta",),
    "checkpoint": ("ckpt/model-1", "--graph", "ckpt/graph.pbtxt"),
}
SIZES = {"none": "float32", "float16": "float32", "int8": "int8", "uint8": "uint8"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the net in each format, photographs of three colours, and black ones."""
    folder = tmp_path_factory.mktemp("saved")
    subprocess.run(
        [PYTHON, str(ROOT / "tests/models/build_saved.py"), str(folder / "net")],
        check=True,
        capture_output=True,
        timeout=300,
    )
    net, random = folder / "net", np.random.default_rng(1)
    for number, colour in enumerate(("blue", "green", "red")):
        (net / "photos" / colour).mkdir(parents=True)
        for shade in range(10):
            picture = random.integers(0, 120, (16, 16, 3), np.uint8)
            picture[..., number] = random.integers(130, 255, (16, 16), np.uint8)
            cv2.imwrite(str(net / "photos" / colour / f"{shade}.png"), picture)
    (net / "black").mkdir()
    for number in range(20):
        cv2.imwrite(str(net / "black" / f"{number}.png"), np.zeros((16, 16, 3), np.uint8))
    (net / "labels.txt").write_text("red\ngreen\nblue\n")
    return net


def convert(saved: Path, out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [PYTHON, "-m", "edged", "convert", *words, "-o", str(out)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=saved, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def made(saved: Path, out: Path, *words: str) -> dict[str, Any]:
    given = ("--images", "photos", "--labels", "labels.txt", "--normalize=-1..1", "--json")
    done = convert(saved, out, *words, *given)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert json.loads(out.with_name(f"{out.name}.json").read_text()) == found
    return found


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
def test_every_format_becomes_a_model_that_does_what_its_source_does(
    saved: Path, tmp_path: Path, source: tuple[str, ...]
) -> None:
    for mode in ("none", "int8"):
        found = made(saved, tmp_path / f"{mode}.tflite", *source, "--quantize", mode)
        assert found["accuracy_of_source"] == 1
        assert {run["top1"] for run in found["runtimes"].values()} == {1.0}
        assert found["source"]["shape"] == [1, 16, 16, 3]
    assert found["edgetpu"] == []
    assert found["calibrated_with"]["n"] == 30


@pytest.mark.parametrize(("mode", "more"), [("float16", ()), ("uint8", ("--layers",))])
def test_the_other_modes(saved: Path, tmp_path: Path, mode: str, more: tuple[str, ...]) -> None:
    found = made(saved, tmp_path / "m.tflite", "m.keras", "--quantize", mode, *more)
    assert len(found["worst_layers"]) == (4 if more else 0)
    assert {run["top1"] for run in found["runtimes"].values()} == {1.0}


def test_a_float_tflite_file_becomes_whole_numbers(saved: Path, tmp_path: Path) -> None:
    """As from ONNX and PyTorch, whose converters give such a file."""
    plain = tmp_path / "plain.tflite"
    assert convert(saved, plain, "frozen.pb", "--normalize=-1..1").returncode == 0
    for mode in ("int8", "uint8"):
        found = made(saved, tmp_path / f"{mode}.tflite", str(plain), "--quantize", mode)
        assert {run["top1"] for run in found["runtimes"].values()} == {1.0}
        assert found["edgetpu"] == []


@pytest.mark.parametrize("mode", ["none", "float16"])
def test_a_core_ml_package_holds_the_weights_of_its_source(saved: Path, tmp_path: Path, mode: str) -> None:
    if subprocess.run([PYTHON, "-c", "import coremltools"], capture_output=True, check=False).returncode:
        pytest.skip("no coremltools: pip install edged[coreml]")
    found = made(saved, tmp_path / "m.mlpackage", "frozen.pb", "--quantize", mode)
    assert found["core_ml"]["takes"] == "picture"
    assert found["core_ml"]["weights"] >= 1
    assert found["core_ml"]["outputs"] == ["classLabel", "classLabel_probs"]
    assert (tmp_path / "m.mlpackage" / "Manifest.json").is_file()


def test_without_photographs_the_bundled_ones_compare(saved: Path, tmp_path: Path) -> None:
    done = convert(saved, tmp_path / "m.tflite", "frozen.pb")
    assert done.returncode == 0, done.stderr
    assert "agrees on 100.0 % of 3 photographs" in done.stdout
    assert "pixels are assumed to become -1..1" in done.stderr
    assert "input input and output scores were found" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "m.keras --quantize int8 --images photos --labels labels.txt --normalize 0..255",
            "write --normalize",
        ),
        ("m.keras --quantize int8 --images black --normalize=-1..1", "nearly all of one colour"),
        ("m.keras --quantize int8 --images photos", "a quantised model keeps them for good"),
        ("only.weights.h5", "it holds weights and no layers"),
        ("frozen.pb --inputs image", "it has no image; likely inputs are input"),
        ("frozen.pb --shape 1,28,28,3", "which --shape 1,28,28,3"),
        ("ckpt/graph.pbtxt", "the graph is not frozen"),
        ("frozen.pb --memory-mb 256", "memory"),
    ],
)
def test_what_would_be_wrong_is_refused_and_leaves_no_file(
    saved: Path, tmp_path: Path, words: str, said: str
) -> None:
    done = convert(saved, tmp_path / "m.tflite", *words.split())
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
