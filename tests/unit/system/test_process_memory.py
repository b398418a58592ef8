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


def test_one_that_closed_its_memory_is_still_weighed() -> None:
    with subprocess.Popen([sys.executable, "-c", HIDES], stdin=-1, stdout=-1) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert (process_memory.megabytes(process.pid) or 0) > 2
        process.communicate()


def test_threads_begin_no_heaps_of_their_own() -> None:
    script = """
import ctypes, sys, threading
from edged.system import process_memory
if sys.argv[1] == "one":
    process_memory.use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
threads = [threading.Thread(target=lambda: (libc.malloc(1000), done.wait())) for _ in range(4)]
done = threading.Event()
for thread in threads:
    thread.start()
libc.malloc_stats()
done.set()
"""
    counts = {}
    for heaps in ("one", "default"):
        command = [sys.executable, "-c", script, heaps]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        counts[heaps] = done.stderr.count("Arena ")
    assert counts["one"] == 1
    assert counts["default"] > 1, "otherwise this shows nothing"
