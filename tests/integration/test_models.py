"""``edged models`` with the real self-test in a process of its own, and what uses a model by name."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from commandline import call
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


def test_a_model_that_no_runtime_runs_fails_its_self_test(tmp_path: Path, testdata: Path) -> None:
    file = testdata / "models" / "unresolved_custom_op.tflite"
    done = call("models", "add", str(file), STATE_DIRECTORY=str(tmp_path))
    assert done.returncode != 0
    assert not list(tmp_path.rglob("*.tflite"))
