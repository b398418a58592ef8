"""A drop folder under a real daemon: each file once, whatever restarts."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING, Any

import pytest
from daemon import Daemon, wait_for

from edged.models.bundled import PHOTOS

if TYPE_CHECKING:
    from pathlib import Path

CAT, ESPRESSO, TRIPOD = sorted(PHOTOS.glob("*.jpg"))


def results(folder: Path) -> list[Any]:
    lines = (folder / "stdout").read_text().splitlines()
    return [json.loads(line)["label"] for line in lines if '"result"' in line]


def text(folder: Path) -> str:
    return (
        f"node: n\nstate_dir: {folder}/state\nrun_dir: {folder}/run\npipelines:\n"
        f"  drop: {{source: {{kind: folder, path: {folder}/drop, watch: true, interval_s: 0}},\n"
        "    publish: {result: true}}\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=lambda end: end.name)
def test_each_file_of_a_drop_folder_is_classified_once(tmp_path: Path, end: signal.Signals) -> None:
    drop = tmp_path / "drop"
    drop.mkdir()
    shutil.copy2(CAT, drop)
    with Daemon(tmp_path, text(tmp_path)) as daemon:
        wait_for(lambda: results(tmp_path) == ["Egyptian cat"], "the file that was there")
        shutil.copy2(ESPRESSO, drop)
        wait_for(lambda: len(results(tmp_path)) == 2, "the file that came")
        wait_for(lambda: len((tmp_path / "state/places/drop").read_text().splitlines()) == 3, "remembered")
        assert daemon.health()["pipelines"]["drop"]["state"] == "running"
        daemon.stop(end)
    (tmp_path / "notify").unlink()
    shutil.copy2(TRIPOD, drop)
    with Daemon(tmp_path, text(tmp_path)) as daemon:
        wait_for(lambda: len(results(tmp_path)) >= 3, "the file that came meanwhile")
        wait_for(lambda: daemon.health()["pipelines"]["drop"]["state"] == "running")
        daemon.stop()
    assert results(tmp_path) == ["Egyptian cat", "espresso", "tripod"]
    assert "away" not in daemon.log
    assert not list((tmp_path / "state/places").glob("*.jpg"))
    assert "cat" not in (tmp_path / "state/places/drop").read_text()
