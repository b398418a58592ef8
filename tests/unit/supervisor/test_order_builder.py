"""Orders for workers, made from the configuration."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edged.config.loader import loads
from edged.ipc import forkserver_requests
from edged.ipc.heartbeat import Stage
from edged.ipc.worker_order import Order
from edged.sources.progress import MOST, Progress
from edged.supervisor import order_builder

if TYPE_CHECKING:
    from pathlib import Path

CAMERA = (
    "pipelines: {yard: {source: {kind: video, url: 'rtsp://cam@10.0.0.7/1', password_file: yard-password}}}"
)


def order(folder: Path) -> Order:
    sections = loads(CAMERA, "edged.yaml", folder).pipelines
    return order_builder.order(sections, {}, accelerated=False, isolation="required", threads=1)


def test_main_reads_the_password_that_a_worker_may_not_read(tmp_path: Path) -> None:
    (tmp_path / "yard-password").write_text("hunter2\n")
    (tmp_path / "yard-password").chmod(0o600)
    made = order(tmp_path)
    assert made.pipelines[0].secrets == {"password_file": "hunter2"}
    assert "hunter2" not in repr(made)
    assert Order.from_data(json.loads(json.dumps(made.to_data()))).pipelines[0].secrets == {
        "password_file": "hunter2"
    }


@pytest.mark.parametrize(
    ("keys", "open_s"),
    [
        ("source: {kind: v4l2}", 8),
        ("source: {kind: picamera2}", 20),
        ("source: {kind: picamera2}, deadlines: {capture_s: 9}", 20),
        ("source: {kind: picamera2}, deadlines: {open_s: 5}", 5),
        ("source: {kind: picamera2}, deadlines: {open_s: 30}", 30),
    ],
)
def test_a_slow_board_has_time_to_import_picamera2(keys: str, open_s: float, tmp_path: Path) -> None:
    sections = loads(f"pipelines: {{yard: {{{keys}}}}}", "edged.yaml", tmp_path).pipelines
    limits = order_builder.deadlines(sections)
    assert limits[Stage.OPEN] == open_s
    assert limits[Stage.LOAD] == limits[Stage.STARTUP] <= max(8, open_s), "they import nothing of a camera"


def test_a_password_that_cannot_be_read_is_reported_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert order(tmp_path).pipelines[0].secrets == {}
    assert "yard-password: there is no such file" in caplog.text


@pytest.mark.parametrize(("accelerated", "kind", "reset"), [(True, "edgetpu", True), (False, "cpu", False)])
def test_only_an_accelerator_is_reset(tmp_path: Path, accelerated: bool, kind: str, reset: bool) -> None:
    text = (
        "pipelines: {porch: {source: {kind: synthetic}, accelerator: {policy: prefer}, "
        "model: {file: a.tflite, edgetpu_file: b.tflite, labels: l.txt}}}"
    )
    sections = loads(text, "edged.yaml", tmp_path).pipelines
    made = order_builder.order(
        sections, {}, accelerated=accelerated, isolation="required", threads=1, reset=True
    )
    assert (made.pipelines[0].accelerator, made.pipelines[0].reset) == (kind, reset)


def test_an_external_delegate_gets_the_cpus_model_and_is_named_in_the_order(tmp_path: Path) -> None:
    text = (
        "pipelines: {porch: {source: {kind: synthetic}, model: {file: a.tflite, labels: l.txt}, "
        "accelerator: {policy: prefer, library: libvx_delegate.so, options: {x: 1}}}}"
    )
    sections = loads(text, "edged.yaml", tmp_path).pipelines
    files = [tmp_path / "a.tflite", tmp_path / "l.txt"]
    made = order_builder.order(
        sections, {}, files, accelerated=True, isolation="required", threads=1
    ).pipelines[0]
    assert (made.accelerator, made.model, made.twin) == ("external", 0, 0)


def test_the_order_of_many_drop_folders_is_one_datagram(tmp_path: Path) -> None:
    names = [f"drop-{n}" for n in range(8)]
    text = "".join(f"  {name}: {{source: {{kind: folder, path: /drop, watch: true}}}}\n" for name in names)
    sections = loads(f"pipelines:\n{text}", "edged.yaml", tmp_path).pipelines
    full = Progress(((1 << 47) + n, 1764412345.123457 + n) for n in range(MOST))
    made = order_builder.order(
        sections,
        {},
        accelerated=False,
        isolation="required",
        threads=1,
        places=dict.fromkeys(names, full),
    )
    assert len(forkserver_requests.fork(made)) < 200_000, "the kernel takes 212,960 bytes"
    first = made.pipelines[0]
    passed = Progress(first.marks, first.floor_s, first.number)
    assert all(passed.has(mark, changed_s) for mark, changed_s in full.marks)
    assert not passed.has(1, 1764412345.2 + MOST)
