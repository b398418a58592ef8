"""The status file: written whole, and a dead or silent daemon is told from a living one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from edged.daemon import status_file
from edged.daemon.status_file import NAME, StatusFile, read

if TYPE_CHECKING:
    from pathlib import Path


def test_a_reader_gets_what_was_written(tmp_path: Path) -> None:
    StatusFile(tmp_path / "run" / "edged").write({"status": "ok"})
    found = read(tmp_path / "run" / "edged")
    assert found.trouble == ""
    assert found.data["status"] == "ok"
    assert found.data["pid"] == os.getpid()
    assert [p.name for p in (tmp_path / "run" / "edged").iterdir()] == [NAME]


def test_without_a_file_no_daemon_runs(tmp_path: Path) -> None:
    assert "no daemon is running" in read(tmp_path).trouble


def test_after_a_clean_stop_no_daemon_runs(tmp_path: Path) -> None:
    file = StatusFile(tmp_path)
    file.write({})
    file.remove()
    file.remove()
    assert "no daemon is running" in read(tmp_path).trouble


def test_a_daemon_that_was_killed_is_not_running(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / NAME).write_text(json.dumps({"pid": gone.pid, "monotonic": time.monotonic()}))
    found = read(tmp_path)
    assert found.trouble == f"no daemon is running: process {gone.pid} is gone without a goodbye"
    assert found.data["pid"] == gone.pid


def test_a_daemon_that_hangs_does_not_answer(tmp_path: Path) -> None:
    StatusFile(tmp_path).write({})
    found = read(tmp_path, now=time.monotonic() + status_file.STALE_S + 27)
    assert found.trouble == f"the daemon (process {os.getpid()}) has not answered for 42 s"


def test_a_file_of_an_earlier_boot_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(json.dumps({"pid": os.getpid(), "monotonic": time.monotonic() + 1e6}))
    assert "no daemon is running" in read(tmp_path).trouble


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "{}", '{"pid": "x", "monotonic": 1}', '{"pid": 1, "monotonic": null}']
)
def test_any_other_file_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    assert read(tmp_path).trouble.endswith("is no status file of edged")


def test_a_folder_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    with pytest.raises(OSError, match="run"):
        StatusFile(tmp_path / "run").write({})
