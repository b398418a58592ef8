"""A pipeline's engine with a taught model: what the worker runs, and what main knows of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from taught_models import EMBEDDER, SIDE, stripe, teach, teach_text
from tflite_builder import build

from edged.config.pipeline import PipelineSection
from edged.errors import ModelError
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.worker_order import PipelineOrder
from edged.models.taught.store import EMBEDDER as FILE
from edged.models.taught.store import HEAD
from edged.supervisor import order_builder
from edged.supervisor.report_screen import known_of
from edged.worker.capture import Item
from edged.worker.engines import Engine, Files, open_engine

if TYPE_CHECKING:
    from pathlib import Path


INTENTS = {
    "greeting": ("hello there", "good morning", "hi, how are you", "hey", "hello my friend", "morning all"),
    "weather": ("will it rain today", "how is the weather", "is it cold outside", "is rain coming", "sunny?"),
}
COLUMNS = {"left": 2, "right": 12}


def section(folder: Path, **model: Any) -> PipelineSection:
    return PipelineSection.model_validate(
        {"source": {"kind": "synthetic"}, "model": {"taught": folder, **model}}
    )


def opened(pipeline: PipelineSection, files: Files | None = None) -> Engine:
    heartbeat = Heartbeat.create()
    try:
        return open_engine(pipeline, PipelineOrder("porch", {}), heartbeat.model(), files or Files())
    finally:
        heartbeat.close()


def judged(engine: Engine, picture: np.ndarray) -> dict[str, float]:
    item = Item(picture.reshape(1, SIDE, SIDE, 3), 0.0, None, 0.0, begins=True)
    return {f.label: f.score for f in engine.decode(item, engine.run(item)) or ()}


def test_a_taught_model_names_what_it_was_taught_and_nothing_else(tmp_path: Path) -> None:
    engine = opened(section(teach(tmp_path, "garage", COLUMNS)))
    assert engine.labels == ("left", "right")
    for label, column in COLUMNS.items():
        scores = [judged(engine, stripe(column, seed)) for seed in range(20, 30)]
        assert all(max(found, key=lambda one: found[one]) == label for found in scores)
        assert sum(found[label] >= 0.5 for found in scores) >= 5
    assert max(judged(engine, stripe(7)).values()) < 0.5
    engine.rehearse()


def test_the_worker_needs_only_what_main_hands_it(tmp_path: Path) -> None:
    folder = teach(tmp_path, "garage", COLUMNS)
    descriptors = [os.open(folder / name, os.O_RDONLY) for name in (FILE, HEAD)]
    for file in (folder / FILE, folder / HEAD):
        file.unlink()
    engine = opened(section(folder), Files(*descriptors))
    assert judged(engine, stripe(2))["left"] >= 0.5
    for descriptor in descriptors:
        os.close(descriptor)


def test_main_knows_name_checksum_and_labels_from_the_head(tmp_path: Path) -> None:
    pipeline = section(teach(tmp_path, "garage", {**COLUMNS, "other": 7}))
    assert order_builder.files_of(pipeline, accelerated=False) == {
        tmp_path / "models/taught/garage" / name for name in (FILE, HEAD)
    }
    head = tmp_path / "models/taught/garage" / HEAD
    with head.open("rb") as file:
        known = known_of(pipeline, {head: (file.fileno(), "ab" * 32)}, accelerated=False)["cpu"]
    assert known.labels == {"left", "right"}
    assert known.tag is not None
    assert (known.tag.name, known.tag.sha256) == ("garage", "abababab")
    assert opened(pipeline).tag.name == "garage"
    assert known_of(pipeline, {}, accelerated=False)["cpu"].labels == frozenset()


def test_another_lesson_changes_what_the_supervisor_watches(tmp_path: Path) -> None:
    pipeline = section(teach(tmp_path, "garage", COLUMNS))
    before = order_builder.signature({"porch": pipeline})
    assert order_builder.signature({"porch": pipeline}) == before
    teach(tmp_path, "garage", COLUMNS, version=2)
    assert order_builder.signature({"porch": pipeline}) != before


def test_a_head_of_another_embedder_is_refused(tmp_path: Path) -> None:
    folder = teach(tmp_path, "garage", COLUMNS)
    (folder / FILE).write_bytes(build(shape=(1, SIDE, SIDE, 3), axes=(1, 3), head="none"))
    with pytest.raises(ModelError, match=r"embedder.tflite: its sha256 begins with"):
        opened(section(folder))


def test_no_head_is_told_with_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such taught model; edged teach makes it"):
        opened(section(tmp_path / "models" / "taught" / "garage"))


def test_it_is_not_the_bundled_model(tmp_path: Path) -> None:
    pipeline = section(teach(tmp_path, "garage", COLUMNS))
    assert not pipeline.bundled
    assert pipeline.thresholds() == pytest.approx((0.5, 0.35))
    assert (pipeline.model_file() or tmp_path).read_bytes() == EMBEDDER


def speaking(folder: Path) -> PipelineSection:
    source = {"kind": "lines", "path": folder / "chat"}
    return PipelineSection.model_validate(
        {"source": source, "model": {"taught": folder}, "task": {"kind": "text"}}
    )


def test_a_taught_text_names_what_a_line_is_about(tmp_path: Path) -> None:
    engine = opened(speaking(teach_text(tmp_path, "chat", INTENTS)))

    def said(line: str) -> dict[str, float]:
        item = Item(np.array([line]), 0.0, 0, 0.0)
        return {f.label: f.score for f in engine.decode(item, engine.run(item)) or ()}

    assert max(found := said("hello, good morning"), key=lambda one: found[one]) == "greeting"
    assert max(found := said("how is the weather today"), key=lambda one: found[one]) == "weather"
    assert max(said("zebra crossing quartz").values()) < 0.5
    assert max(said("").values()) < 0.5
    engine.rehearse()
    assert (engine.tag.name, engine.runtime_name) == ("chat", "numpy")


def test_a_model_of_pictures_takes_no_text(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="garage was not taught with text"):
        opened(speaking(teach(tmp_path, "garage", COLUMNS)))
