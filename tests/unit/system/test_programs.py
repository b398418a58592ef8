from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from edged.system import programs

DEADLINE_S = 10.0


def test_a_program_ends_with_what_it_started() -> None:
    script = "sleep 98761 & sh -c 'sleep 98762 & echo started; wait' & wait"
    process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    below = programs.descendants(process.pid)
    assert len(below) == 3
    programs.end(process)
    process.stdout.close()
    assert process.returncode == -9
    end = time.monotonic() + DEADLINE_S
    while not all(_state(pid) in "ZX" for pid in below):
        os.sched_yield()
        assert time.monotonic() < end


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def test_a_process_without_children_has_none(tmp_path: Path) -> None:
    for pid, parent in ((7, 1), (8, 7), (9, 8), (10, 1)):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a ) b) S {parent} 1 1 0")
    (tmp_path / "11").mkdir()
    assert sorted(programs.descendants(7, tmp_path)) == [8, 9]
    assert programs.descendants(10, tmp_path) == []
