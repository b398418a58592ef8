"""A driver is one file: a copy under another name works in a copy of edged, without any other edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from daemon import Daemon, wait_for

import edged

PACKAGE = Path(edged.__file__).parent
COPIES = {
    "tasks/classify.py": "tasks/sort_out.py",
    "sources/drivers/synthetic.py": "sources/drivers/pattern.py",
    "sensors/drivers/synthetic.py": "sensors/drivers/wave.py",
}
CONFIGURATION = """\
node: copy
sensors:
  level: {kind: wave, interval_s: 0.1}
pipelines:
  copied:
    source: {kind: pattern, size: [64, 48], interval_s: 0.1}
    task: {kind: sort_out, top_k: 2}
    decision: {threshold: 0}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the package that has three drivers more."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(PACKAGE, root / "edged", ignore=shutil.ignore_patterns("__pycache__"))
    for old, new in COPIES.items():
        shutil.copy(PACKAGE / old, root / "edged" / new)
    return root


@pytest.fixture
def environment(root: Path, tmp_path: Path) -> dict[str, str]:
    folders = {"STATE_DIRECTORY": str(tmp_path / "state"), "RUNTIME_DIRECTORY": str(tmp_path / "run")}
    return {"PYTHONPATH": str(root), "PYTHONSAFEPATH": "1", **folders}


def call(environment: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edged", *argv]
    surroundings = os.environ | environment
    return subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings, timeout=60)


def test_a_copy_is_configured_checked_and_described(environment: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "edged.yaml"
    path.write_text(CONFIGURATION)
    done = call(environment, "check", "-c", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 pipeline (copied), 1 sensor (level)" in done.stdout

    schema = json.loads(call(environment, "schema").stdout)
    data: dict[str, Any] = {
        "sensors": {"level": {"kind": "wave"}},
        "pipelines": {"copied": {"source": {"kind": "pattern", "seed": 7}, "task": {"kind": "sort_out"}}},
    }
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(data)
    data["pipelines"]["copied"]["task"]["kind"] = "sort_in"
    assert list(validator.iter_errors(data))

    path.write_text(CONFIGURATION.replace("top_k: 2", "top_k: 99").replace("size:", "sise:"))
    done = call(environment, "check", "-c", str(path))
    source, task = done.stdout.splitlines()
    assert f"{path}:6:29: pipelines.copied.source.sise: there is no key 'sise'" in source
    assert "did you mean 'size'?" in source
    assert (
        f"{path}:7:35: pipelines.copied.task.top_k is '99', but must be a whole number from 1 to 10" in task
    )


def test_a_copy_runs_and_makes_events(environment: dict[str, str], tmp_path: Path) -> None:
    with Daemon(tmp_path, CONFIGURATION, **environment) as daemon:
        out = tmp_path / "stdout"
        lines = wait_for(
            lambda: [line for line in out.read_text().splitlines() if '"pipeline":"copied"' in line],
            "an event of the copied drivers",
            60,
        )
        event = json.loads(lines[0])
        assert (event["type"], event["pipeline"], len(event["top"])) == ("start", "copied", 2)
        wait_for(lambda: '"level"' in out.read_text(), "a reading of the copied sensor")
        assert daemon.stop()[0] == 0
    file = PACKAGE / "schema" / "event.schema.json"
    jsonschema.Draft202012Validator(json.loads(file.read_text("utf-8"))).validate(event)
