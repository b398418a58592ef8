"""The daemon with a full file system as its run directory: no status file, and all else works."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

SCRIPT = """
mkdir run state && mount -t tmpfs -o size=64k t run || exit 9
dd if=/dev/zero of=run/fill bs=1k count=100 2>/dev/null
exec timeout 5 "$0" -m edged run -c edged.yaml
"""


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_run_dir_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "edged.yaml").write_text(
        "node: a\nstate_dir: state\nrun_dir: run\nsensors: {s: {kind: synthetic, interval_s: 0.2}}\n"
    )
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", SCRIPT, sys.executable],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode == 9:
        pytest.skip("mounts are not possible here")
    assert done.returncode == 124, done.stderr  # ended by timeout: it was working
    assert done.stdout.count('"quality":"good"') >= 3
    assert done.stderr.count("`edged status` will be out of date") == 1
