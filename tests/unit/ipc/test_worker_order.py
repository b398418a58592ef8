from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edged.config.pipeline import PipelineSection
from edged.ipc import forkserver_requests
from edged.ipc.heartbeat import Stage
from edged.ipc.worker_order import Order, PipelineOrder
from edged.supervisor import order_builder

texts = st.text(max_size=40)
pipelines = st.builds(
    PipelineOrder,
    name=texts,
    section=st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=4),
    results=st.booleans(),
    resume=texts,
    accelerator=st.sampled_from(["cpu", "edgetpu", "external"]),
    degraded=st.booleans(),
    threads=st.integers(1, 64),
    model=st.integers(-1, 63),
)


@given(st.builds(Order, texts, texts, st.lists(pipelines).map(tuple), st.booleans()))
def test_an_order_arrives_as_it_was_given(order: Order) -> None:
    assert _arrived(order) == order


def _arrived(order: Order) -> Order:
    return Order.from_data(json.loads(forkserver_requests.fork(order))["order"])


def section(**changes: object) -> PipelineSection:
    plain: dict[str, object] = {"source": {"kind": "synthetic", "size": [64, 48], "crop": [0, 0, 32, 32]}}
    return PipelineSection.model_validate(plain | changes)


TWINS = {"file": "cpu.tflite", "edgetpu_file": "tpu.tflite"}


def test_the_configuration_survives_the_way() -> None:
    written = section(decision={"labels": {"cat": {"threshold": 0.4}}, "ignore": ["dog"]}, model=TWINS)
    order = order_builder.order(
        {"porch": written}, {"porch": "cat"}, accelerated=False, isolation="required", threads=2
    )
    (pipeline,) = _arrived(order).pipelines
    assert PipelineSection.model_validate(pipeline.section) == written
    assert (pipeline.resume, pipeline.threads, pipeline.degraded, pipeline.model) == ("cat", 2, False, -1)


def test_the_cpu_is_less_than_prefer_asks_for() -> None:
    prefer = section(model=TWINS, accelerator={"policy": "prefer"})
    for accelerated in (True, False):
        order = order_builder.order(
            {"porch": prefer},
            {},
            [Path("tpu.tflite"), Path("cpu.tflite")],
            accelerated=accelerated,
            isolation="required",
            threads=1,
        )
        (pipeline,) = order.pipelines
        assert pipeline.accelerator == ("edgetpu" if accelerated else "cpu")
        assert pipeline.degraded is not accelerated
        assert pipeline.model == (0 if accelerated else 1)


def test_who_shares_a_worker_gets_the_most_patient_deadline() -> None:
    patient = section(deadlines={"open_s": 20, "invoke_s": 1})
    limits = order_builder.deadlines({"a": section(), "b": patient})
    assert (limits[Stage.OPEN], limits[Stage.INVOKE], limits[Stage.CAPTURE]) == (20, 5, 5)
    assert limits.keys() | {Stage.IDLE, Stage.GONE} == set(Stage)


def test_a_mended_file_changes_the_signature(tmp_path: Path) -> None:
    file = tmp_path / "m.tflite"
    sections = {"porch": section(model={"file": str(file)})}
    before = order_builder.signature(sections)
    file.write_bytes(b"half")
    broken = order_builder.signature(sections)
    file.write_bytes(b"whole")
    assert len({before, broken, order_builder.signature(sections)}) == 3


def test_64_pipelines_fit_into_one_order() -> None:
    sections = {f"p{n}": section(decision={"ignore": ["x" * 128] * 8}) for n in range(64)}
    order = order_builder.order(sections, {}, accelerated=True, isolation="required", threads=1)
    assert len(forkserver_requests.fork(order)) < 200_000  # the socket's buffer has 208 KiB
    assert _arrived(order) == order
