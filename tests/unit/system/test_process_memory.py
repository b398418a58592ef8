from __future__ import annotations

import os
import subprocess
import sys

from edged.system import process_memory

HIDES = "import ctypes, sys; ctypes.CDLL(None).prctl(4, 0, 0, 0, 0); print(flush=True); sys.stdin.read()"


def test_this_process_takes_memory() -> None:
    assert 10 < (process_memory.megabytes(os.getpid()) or 0) < 10_000


def test_one_that_is_gone_takes_none() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
        assert process_memory.megabytes(gone.pid) is None


def test_one_that_was_kept_is_read_and_forgotten() -> None:
    files = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    with subprocess.Popen([sys.executable, "-c", HIDES], stdin=-1, stdout=-1) as process:
        process_memory.keep(process.pid)
        process_memory.keep(process.pid)
        assert process.stdout is not None
        process.stdout.readline()
        assert (process_memory.megabytes(process.pid) or 0) > 2
        process.communicate()
    assert process_memory.megabytes(process.pid) is None
    process_memory.forget(process.pid)
    process_memory.forget(process.pid)
    assert len(os.listdir("/proc/self/fd")) == files  # noqa: PTH208 - names are enough
