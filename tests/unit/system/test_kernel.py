from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edged.system import kernel

if TYPE_CHECKING:
    from pathlib import Path

# The parent of a vfork waits in state D until its child ends, or runs another program.
WAITS_IN_THE_KERNEL = "import ctypes, time; print(flush=True); ctypes.CDLL(None).vfork() or time.sleep(60)"
WAITS = "import time; print(flush=True); time.sleep(60)"


@pytest.mark.parametrize(("program", "stuck"), [(WAITS_IN_THE_KERNEL, True), (WAITS, False)])
def test_a_process_that_no_signal_reaches(program: str, stuck: bool) -> None:
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert any(kernel.is_stuck(process.pid) for _ in range(1000)) is stuck
        finally:
            os.killpg(process.pid, signal.SIGKILL)
    assert not kernel.is_stuck(process.pid)


@pytest.mark.parametrize(
    ("states", "stuck"), [("Z", False), ("ZD", True), ("SSS", False), ("SD", True), ("", False)]
)
def test_one_thread_is_enough(states: str, stuck: bool, tmp_path: Path) -> None:
    for number, state in enumerate(states):
        thread = tmp_path / "7/task" / str(7 + number)
        thread.mkdir(parents=True)
        (thread / "stat").write_text(f"{7 + number} (edged) D:x) {state} 1 7 7 0 -1\n")
    assert kernel.is_stuck(7, tmp_path) is stuck
