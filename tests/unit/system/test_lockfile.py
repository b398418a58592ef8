"""One daemon for a run directory."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edged.errors import Reason, Unavailable
from edged.system.claim import NAME, Claim

if TYPE_CHECKING:
    from pathlib import Path

HOLD = (
    "import sys, pathlib; from edged.system.claim import Claim\n"
    "Claim(pathlib.Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()"
)


def test_the_second_is_told_who_is_there(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(Unavailable, match=f"process {other.pid}, run_dir {tmp_path}/run") as refused:
            Claim(tmp_path / "run").take()
        assert refused.value.reason is Reason.BUSY
        other.kill()
        other.wait()
        mine = Claim(tmp_path / "run")
        mine.take()  # the kernel gave it back
        assert (tmp_path / "run" / NAME).read_text() == str(os.getpid())
        mine.release()
        mine.release()
        again = Claim(tmp_path / "run")
        again.take()
        again.release()


def test_a_folder_that_cannot_be_written_keeps_nobody_from_running(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    claims = [Claim(tmp_path / "run") for _ in range(2)]
    for claim in claims:
        claim.take()  # nobody can hold what cannot be written, so neither is refused
    for claim in claims:
        claim.release()
    assert (tmp_path / "run").read_text() == "a file"
