"""The contract of a task, held over every module in ``edged/tasks``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from edged import tasks
from edged.errors import ModelError
from edged.events import UNKNOWN
from edged.models.spec import PictureInput, SampleSpec, Spec, TextInput, WindowInput
from edged.models.tensor import Tensor
from edged.models.text_ids import Hashing
from edged.models.tflite.detection import DETECTION_OP, DetectionStep
from edged.models.tflite.file import ModelFile
from edged.tasks import TaskConfig

KINDS = tasks.kinds()
PICTURE, WINDOW = SampleSpec(), SampleSpec("window", 4, 2)
WINDOWS = ModelFile(
    Path("w.tflite"),
    b"",
    64 * "0",
    (Tensor("window", (1, 4, 2), "float32"),),
    (Tensor("answer", (1, 8), "float32"),),
)
PICTURES = replace(WINDOWS, inputs=(Tensor("picture", (1, 8, 8, 3), "uint8", 1 / 255),))
TEXT = SampleSpec("text")
TEXTS = replace(WINDOWS, inputs=(Tensor("ids", (1, 9), "int32"),), words=Hashing(64))
OBJECTS = replace(
    PICTURES,
    outputs=tuple(Tensor("", shape, "float32") for shape in ((1, 4, 4), (1, 4), (1, 4), (1,))),
    custom_ops=(DETECTION_OP,),
    detection=DetectionStep((0, 1, 2, 3), 8, background=True),
)
# What each task can work on: a model (or none) and a sample.
WORKS: dict[str, list[tuple[ModelFile | None, SampleSpec]]] = {
    "classify": [(PICTURES, PICTURE), (WINDOWS, WINDOW)],
    "anomaly": [(WINDOWS, WINDOW), (None, WINDOW)],
    "detect": [(OBJECTS, PICTURE)],
    "text": [(TEXTS, TEXT)],
    "loud": [(None, SampleSpec("window", 8, 1, 16000))],
}
CASES = [(kind, *case) for kind in KINDS for case in WORKS[kind]]


def config(kind: str, **keys: Any) -> TaskConfig:
    made = tasks.load(kind).Config(**keys)
    assert isinstance(made, TaskConfig)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_help_line_and_described_keys(kind: str) -> None:
    module = tasks.load(kind)
    assert len(module.__doc__.splitlines()[0]) > 20, "the first docstring line is the help line"
    for name, field in module.Config.model_fields.items():
        assert field.description, f"{kind}.{name} has no description: it is the reference page"
    json.dumps(module.Config.model_json_schema())


@pytest.mark.parametrize("kind", KINDS)
def test_knows_its_own_keys_only(kind: str) -> None:
    assert config(kind).kind == kind
    assert config(kind, top_k="5").top_k == 5
    for keys in ({"kind": "other"}, {"nonsense": 1}, {"top_k": 0}, {"top_k": 11}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            tasks.load(kind).Config(**keys)


@pytest.mark.parametrize(("kind", "model", "sample"), CASES)
def test_finds_in_a_model_what_it_takes_and_gives(
    kind: str, model: ModelFile | None, sample: SampleSpec
) -> None:
    spec = tasks.load(kind).inspect(model, sample)
    assert isinstance(spec, Spec)
    if model is None:
        assert spec.input is None
        assert spec.measure, "events name it in the place of a model"
    else:
        takes = {"picture": PictureInput, "window": WindowInput, "text": TextInput}[sample.gives]
        assert isinstance(spec.input, takes)
        assert spec.input.tensor is model.inputs[0]
        assert set(spec.outputs) <= set(model.outputs)
    assert bool(spec.labels) != bool(spec.classes), "its own labels, or one for each class"


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_a_model_of_something_else(kind: str) -> None:
    odd = replace(WINDOWS, inputs=(Tensor("words", (1, 7), "int32"),))
    for sample in (PICTURE, WINDOW, SampleSpec("text")):
        with pytest.raises(ModelError):
            tasks.load(kind).inspect(odd, sample)


@pytest.mark.parametrize(("kind", "model", "sample"), CASES)
def test_the_findings_are_scores_best_first(kind: str, model: ModelFile | None, sample: SampleSpec) -> None:
    module = tasks.load(kind)
    spec = module.inspect(model, sample)
    labels = spec.labels or tuple("abcdefgh")
    task = module.create(config(kind, top_k=3), spec, labels)
    shape = (4, 2) if spec.input is None else spec.input.tensor.shape
    given = np.random.default_rng(1)
    judged = 0
    for _ in range(20):
        outputs = [given.normal(0, 3, each.shape).astype(each.dtype) for each in spec.outputs]
        found = task.decode(outputs, given.normal(0, 1, shape).astype(np.float32))
        if found is None:
            continue
        judged += 1
        scores = [finding.score for finding in found]
        assert 1 <= len(scores) <= 3
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert {finding.label for finding in found} <= set(labels) | {UNKNOWN}
    assert judged >= 10
    nothing = [np.full(each.shape, np.nan, each.dtype) for each in spec.outputs]
    assert not task.decode(nothing, np.full(shape, np.nan, np.float32)), "no numbers, no finding"


def test_classify_needs_a_model_and_anomaly_needs_windows() -> None:
    config("classify").check("picture", model=True)
    config("anomaly", history=9).check("window", model=False)
    config("text").check("text", model=True)
    config("anomaly", limit=0.2).check("window", model=True)
    refused: list[tuple[TaskConfig, Any, bool, str]] = [
        (config("classify"), "window", False, "edged brings nothing that classifies readings"),
        (config("classify"), "text", True, "write task: {kind: text}"),
        (config("detect"), "window", True, "detect works on pictures"),
        (config("text"), "picture", True, "text works on lines of text"),
        (config("text"), "text", False, "write model: {name: replies}, the bundled one, or {taught: NAME}"),
        (config("anomaly"), "picture", True, "anomaly works on readings over time"),
        (config("loud"), "picture", True, "loud works on sound"),
        (config("loud"), "window", True, "loud needs no model"),
        (config("anomaly"), "window", True, "with a model, write limit"),
        (config("anomaly", limit=1, history=9), "window", True, "history is for anomaly without a model"),
        (
            TaskConfig(kind="other"),
            "text",
            False,
            "edged brings no model that takes a text: write model.file",
        ),
    ]
    for made, gives, model, said in refused:
        with pytest.raises(PydanticCustomError, match=said):
            made.check(gives, model=model)


def test_history_is_long_enough_to_judge_by() -> None:
    with pytest.raises(ValueError, match="history"):
        config("anomaly", history=7)


def test_no_task_loads_anything_heavy_before_it_is_created() -> None:
    code = """
import sys
from edged import tasks
from edged.errors import ModelError
from edged.models import bundled
from edged.models.spec import SampleSpec
from edged.models.tflite import file
model = file.read(bundled.MODEL)
for kind in tasks.kinds():
    module = tasks.load(kind)
    module.Config()
    for sample in (SampleSpec(), SampleSpec("window", 8, 2)):
        try:
            module.inspect(model, sample)
        except ModelError:
            pass
heavy = {"numpy", "cv2", "tflite_runtime", "ai_edge_litert", "yaml", "paho"}
found = heavy & {name.partition(".")[0] for name in sys.modules}
assert not found, found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_task_of_another_package_is_found_by_its_entry_point(tmp_path: Path) -> None:
    (tmp_path / "steady.py").write_text(
        '"""Steadiness of windows: how steady each of them is, without a model."""\n'
        "from edged.models.spec import Spec\n"
        "from edged.tasks import TaskConfig\n"
        "class Config(TaskConfig):\n"
        "    def check(self, gives, *, model): pass\n"
        "def inspect(model, sample):\n"
        "    return Spec(labels=('steady',), measure='steadiness')\n"
        "def create(config, spec, labels): raise NotImplementedError\n"
    )
    about = tmp_path / "edged_steady-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: edged-steady\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[edged.tasks]\nsteady = steady\n")
    (tmp_path / "edged.yaml").write_text(
        "sensors:\n  v: {kind: synthetic, interval_s: 0.1}\npipelines:\n  p:\n"
        "    source: {kind: sensors, channels: [v], step_s: 0.1, window: 8}\n"
        "    task: {kind: steady}\n    decision: {ignore: [quiet]}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "edged", "check", "-c", str(tmp_path / "edged.yaml")],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "HOME": str(tmp_path)},
    )
    said = "pipelines.p.decision.ignore[0]: this task has no label 'quiet'"
    assert said in done.stdout, done.stderr
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(("volume", "score"), [(0.0, 0.0), (0.01, 0.175), (0.1, 0.675), (1.0, 1.0)])
def test_sound_is_loud_from_its_level_on(volume: float, score: float) -> None:
    module = tasks.load("loud")
    spec = module.inspect(None, SampleSpec("window", 1600, 1, 16000))
    task = module.create(config("loud", above_dbfs=-30), spec, spec.labels)
    wave = volume * np.sin(2 * np.pi * 440 * np.arange(1600) / 16000)
    (found,) = task.decode((), wave[:, None].astype(np.float32))
    assert (found.label, found.score) == ("loud", pytest.approx(score, abs=1e-3))


def test_loud_needs_samples_and_a_length() -> None:
    for sample, said in (
        (WINDOW, "samples of sound"),
        (SampleSpec("window", 9, 40, 16000), "samples of sound"),
        (SampleSpec("window", 0, 1, 16000), "write source.window_s"),
    ):
        with pytest.raises(ModelError, match=said):
            tasks.load("loud").inspect(None, sample)
