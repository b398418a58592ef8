"""One process at a time holds a lock file, and the next one learns which."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edged.system.lockfile import LockFile

if TYPE_CHECKING:
    from pathlib import Path

HOLD = (
    "import sys, pathlib; from edged.system.lockfile import LockFile\n"
    "LockFile(pathlib.Path(sys.argv[1]), busy=RuntimeError).take(); print('held', flush=True)\n"
    "sys.stdin.read()"
)


def lock(path: Path) -> LockFile:
    return LockFile(path, busy=lambda pid: RuntimeError(f"held by {pid}"))


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        mine = lock(path)
        with pytest.raises(RuntimeError, match=f"held by {other.pid}$"):
            mine.take()
        assert not mine.held
        other.kill()
        other.wait()
    mine.take()  # the kernel freed it
    assert mine.held
    assert path.read_text() == f"{os.getpid()}\n"
    mine.take()
    mine.free()
    mine.free()
    assert not mine.held
    again = lock(path)
    again.take()
    again.free()


def test_a_file_that_was_replaced_is_locked_anew(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    mine = lock(path)
    mine.take()
    path.rename(tmp_path / "old")
    mine.take()
    assert path.read_text() == f"{os.getpid()}\n"
    with pytest.raises(RuntimeError):
        lock(path).take()
    mine.free()


def test_a_file_that_cannot_be_created_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        lock(tmp_path / "none" / "lock").take()
