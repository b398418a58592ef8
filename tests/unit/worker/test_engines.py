from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tflite_builder import Kind, Layer, lstm, stack

from edged.config.pipeline import PipelineSection
from edged.errors import ModelError
from edged.ipc.heartbeat import Heartbeat
from edged.ipc.worker_order import PipelineOrder
from edged.worker.capture import Item
from edged.worker.engines import Engine, Files, open_engine

if TYPE_CHECKING:
    from pathlib import Path

STEPS, CHANNELS = 4, 2
SOURCE = {"kind": "sensors", "channels": ["v/x", "v/y"], "step_s": 0.1, "window": STEPS}


def item(window: np.ndarray, *, begins: bool = True) -> Item:
    return Item(window, 0.0, None, 0.0, begins=begins)


def opened(tmp_path: Path, content: bytes | None, **task: Any) -> Engine:
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    model = {}
    if content is not None:
        (tmp_path / "m.tflite").write_bytes(content)
        model = {"file": tmp_path / "m.tflite", "labels": tmp_path / "labels.txt"}
    section = PipelineSection.model_validate({"source": SOURCE, "model": model, "task": task})
    heartbeat = Heartbeat.create()
    try:
        return open_engine(section, PipelineOrder("pump", {}), heartbeat.model(), Files())
    finally:
        heartbeat.close()


def judged(engine: Engine, given: Item) -> list[tuple[str, float]]:
    return [(f.label, f.score) for f in engine.decode(given, engine.run(given)) or ()]


def test_what_a_model_remembers_counts_only_where_a_window_goes_on(tmp_path: Path) -> None:
    engine = opened(tmp_path, lstm(STEPS, CHANNELS, 3))
    window = np.ones((1, STEPS, CHANNELS), np.float32)
    first = judged(engine, item(window))
    assert dict(judged(engine, item(window))) == pytest.approx(dict(first))
    assert judged(engine, item(window, begins=False))[0][1] != pytest.approx(first[0][1], abs=1e-4)
    assert sum(score for _, score in first) == pytest.approx(1)
    engine.rehearse()
    with pytest.raises(ModelError):
        engine.run(item(window[:, :2]))


@pytest.mark.parametrize("kind", [Kind(), Kind("int8", 0.1, 5)], ids=["float32", "int8"])
def test_what_an_autoencoder_cannot_rebuild_is_odd(tmp_path: Path, kind: Kind) -> None:
    size = STEPS * CHANNELS
    knows = np.eye(size)
    knows[-1, -1] = 0.0  # the last value comes out as 0
    content = stack((1, STEPS, CHANNELS), kind, [Layer(knows, np.zeros(size), kind)])
    judge = opened(tmp_path, content, kind="anomaly", limit=0.5)

    def window(last: float) -> Item:
        values = np.ones((1, STEPS, CHANNELS), np.float32)
        values[0, -1, -1] = last
        return item(
            values if not kind.scale else (np.round(values / kind.scale) + kind.zero_point).astype("int8")
        )

    assert judged(judge, window(0.0)) == [("anomaly", pytest.approx(0.0, abs=0.01))]
    assert judged(judge, window(2.0)) == [("anomaly", pytest.approx(0.5, abs=0.01))]  # 2² of 8 values: 0.5
    assert judged(judge, window(6.0)) == [("anomaly", pytest.approx(0.9, abs=0.01))]


def test_without_a_model_the_first_windows_are_too_early_to_judge(tmp_path: Path) -> None:
    judge = opened(tmp_path, None, kind="anomaly", history=20)
    random = np.random.default_rng(1)
    found = []
    for _ in range(12):
        given = item(random.normal(0, 1, (STEPS, CHANNELS)).astype(np.float32))
        found.append(judge.decode(given, judge.run(given)))
    judge.rehearse()
    assert [f is None for f in found] == [True] * 8 + [False] * 4
    assert all(f for f in found[8:])
    assert (judge.tag.name, judge.tag.sha256, judge.runtime_name) == ("robust-z", "00000000", "numpy")
    assert judge.decode(item(np.full((STEPS, CHANNELS), np.inf, np.float32)), ()) == []
