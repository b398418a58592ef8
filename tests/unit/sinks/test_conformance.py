"""The contract of a sink, held over every driver in ``edged/sinks/drivers``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from edged import sinks
from edged.config import loader
from edged.errors import ConfigError, DriverError, Unavailable
from edged.sinks import SinkConfig
from edged.tools.check import check
from unit.sinks.events import event

if TYPE_CHECKING:
    from pathlib import Path

KINDS = sinks.kinds()
PIPELINE = "pipelines: {porch: {source: {kind: synthetic}}}"


def keys(kind: str, folder: Path) -> dict[str, Any]:
    """Return keys with which a sink of that kind works here, and loses events while the folder is missing."""
    given = {"jsonl": {"path": str(folder / "events.jsonl")}}
    assert kind in given, f"say in keys() how a sink of kind '{kind}' can run here"
    return {"kind": kind, **given[kind]}


@pytest.mark.parametrize("kind", KINDS)
def test_has_a_help_line_and_described_keys(kind: str) -> None:
    module = sinks.load(kind)
    assert len((module.__doc__ or "").splitlines()[0]) > 20, "the first docstring line is the help line"
    assert issubclass(module.Config, SinkConfig)
    for name, field in module.Config.model_fields.items():
        assert field.description, f"{kind}.{name} has no description: it is the reference page"
    json.dumps(module.Config.model_json_schema())


@pytest.mark.parametrize("kind", KINDS)
def test_create_touches_nothing_and_close_may_be_called_before_the_first_event(
    kind: str, tmp_path: Path
) -> None:
    sink = sinks.create(sinks.load(kind).Config(**keys(kind, tmp_path / "gone")))
    sink.close()
    sink.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_that_is_lost_is_unavailable_and_the_next_one_is_tried(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    sink = sinks.create(sinks.load(kind).Config(**keys(kind, folder)))
    for _ in range(2):
        with pytest.raises(Unavailable):
            sink.send(event().to_json())
    folder.mkdir()
    sink.send(event().to_json())
    sink.close()
    sink.close()
    assert [json.loads(path.read_text())["label"] for path in folder.iterdir()] == ["cat"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_module_imports_nothing_heavy(kind: str) -> None:
    module = sinks.load(kind).__name__
    program = f"import sys, {module}; print(*sys.modules.keys() & {{'numpy', 'paho', 'requests', 'asyncio'}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_a_block_of_the_file_like_any_other(kind: str, tmp_path: Path) -> None:
    block = json.dumps(keys(kind, tmp_path))
    config = loader.loads(f"sinks: {{copy: {block}}}\n{PIPELINE}", "edged.yaml", tmp_path)
    assert config.sinks["copy"] == sinks.load(kind).Config(**keys(kind, tmp_path))


PROGRAM = """
import json, sys
import edged.sinks.drivers
from edged.config import loader, schema
from edged.tools.check import check
edged.sinks.drivers.__path__.append(sys.argv[1])
config = loader.load(sys.argv[2])
for block in config.sinks.values():
    edged.sinks.create(block).send(b"{}")
print(json.dumps([len(check(sys.argv[2])), sorted(edged.sinks.kinds()), "others" in schema.text()]))
"""


def test_a_copy_of_a_driver_and_an_entry_point_work_without_any_other_edit(tmp_path: Path) -> None:
    source = sinks.load("jsonl").__file__
    (tmp_path / "drivers").mkdir()
    shutil.copy(source, tmp_path / "drivers" / "mine.py")
    shutil.copy(source, tmp_path / "of_others.py")
    (tmp_path / "of_others-1.dist-info").mkdir()
    (tmp_path / "of_others-1.dist-info" / "METADATA").write_text("Name: of-others\nVersion: 1\n")
    (tmp_path / "of_others-1.dist-info" / "entry_points.txt").write_text(
        "[edged.sinks]\nothers = of_others\n"
    )
    file = tmp_path / "edged.yaml"
    blocks = "{a: {kind: mine, path: a.jsonl}, b: {kind: others, path: b.jsonl}}"
    file.write_text(f"state_dir: state\nsinks: {blocks}\n{PIPELINE}\n")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "drivers"), str(file)],
        capture_output=True, text=True, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert json.loads(done.stdout) == [0, ["jsonl", "mine", "others"], True]
    assert [(tmp_path / name).read_text() for name in ("a.jsonl", "b.jsonl")] == ["{}\n", "{}\n"]


def test_a_block_without_a_driver_is_an_error_with_its_place(tmp_path: Path) -> None:
    text = f"sinks:\n  copy:\n    kind: jsonline\n{PIPELINE}"
    with pytest.raises(ConfigError, match=r"edged.yaml:3:11: .*jsonl"):
        loader.loads(text, "edged.yaml", tmp_path)


def test_a_kind_without_a_driver_is_refused() -> None:
    with pytest.raises(DriverError, match="there is no sink of kind 'mqtt'; available: jsonl"):
        sinks.create(SinkConfig(kind="mqtt"))


def test_what_a_driver_finds_wrong_has_the_place_of_its_key(tmp_path: Path) -> None:
    file = tmp_path / "edged.yaml"
    file.write_text(f"state_dir: state\nsinks:\n  copy: {{kind: jsonl, path: gone/e.jsonl}}\n{PIPELINE}\n")
    (problem,) = check(file)
    assert str(problem) == f"{file}:3:23: sinks.copy.path: there is no folder {tmp_path}/gone (create it)"
