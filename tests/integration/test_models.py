"""``edged models`` with the real self-test in a process of its own, and what uses a model by name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from commandline import call
from daemon import Daemon, wait_for
from tflite_builder import Packed, build
from unit.tools.models.http_server import Server

from edged.models import bundled

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow  # the quick suite has tests/unit/cli/test_models.py


def test_a_model_is_downloaded_tried_and_used_by_name(tmp_path: Path) -> None:
    state = {"STATE_DIRECTORY": str(tmp_path / "state")}
    with Server(bundled.MODEL.read_bytes(), ["cut 1000000"]) as server:
        words = ("models", "add", server.url, "--name", "lite0", "--labels", str(bundled.LABELS))
        done = call(*words, "--sha256", bundled.MODEL_SHA256, **state)
    assert done.returncode == 0, done.stderr
    assert "lite0: version 1, " in done.stdout
    tried = call("try", "--model", "lite0", "--source", "photos", "--count", "1", "--json", **state)
    assert json.loads(tried.stdout)["model"] == {"name": "lite0", "sha256": bundled.MODEL_SHA256[:8]}
    photos = tmp_path / "photos" / bundled.ANSWER
    photos.mkdir(parents=True)
    shutil.copy(bundled.PHOTO, photos)
    words = ("bench", "lite0", "--images", str(photos.parent), "--seconds", "0.1", "--json", "-")
    measured = json.loads(call(*words, **state).stdout)["results"][0]
    assert measured["top1"] == 1.0


CONFIG = """node: n
state_dir: {0}/state
run_dir: {0}/run
pipelines:
  porch:
    source: {{kind: folder, path: {1}, interval_s: 0.1, loop: true}}
    model: {{name: net}}
    publish: {{result: true}}
"""


def test_a_running_pipeline_takes_the_new_version_at_a_reload(tmp_path: Path) -> None:
    text = CONFIG.format(tmp_path, bundled.PHOTOS)
    (tmp_path / "edged.yaml").write_text(text)
    file = tmp_path / "net.tflite"

    def add(*labels: str) -> str:
        names = (*labels, "c", "d", "e", "f", "g", "h")
        file.write_bytes(build(packed=Packed("\n".join(names), mean=(127.5,), std=(127.5,))))
        words = ("models", "add", str(file), "--other-labels", "-c", str(tmp_path / "edged.yaml"), "--json")
        return str(json.loads(call(*words).stdout)["sha256"])[:8]

    def seen(sha256: str) -> bool:
        return f'"sha256":"{sha256}"' in (tmp_path / "stdout").read_text()

    first = add("a", "b")
    with Daemon(tmp_path, text) as daemon:
        wait_for(lambda: seen(first), "an event of the first version")
        second = add("a", "x")
        assert first != second
        daemon.reload(text)
        wait_for(lambda: seen(second), "an event of the second version")


def test_a_model_that_no_runtime_runs_fails_its_self_test(tmp_path: Path, testdata: Path) -> None:
    file = testdata / "models" / "unresolved_custom_op.tflite"
    done = call("models", "add", str(file), STATE_DIRECTORY=str(tmp_path))
    assert done.returncode != 0
    assert not list(tmp_path.rglob("*.tflite"))
