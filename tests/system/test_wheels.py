"""The check of the aarch64 wheels is worth something only if it can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def test_a_requirement_without_wheels_is_refused() -> None:
    here = Path(sys.executable).parent
    if shutil.which("uv", path=f"{here}:{os.environ['PATH']}") is None:
        pytest.skip("uv is not installed; it comes with the extra 'lint'")
    done = subprocess.run(
        [str(ROOT / "tests" / "wheels"), "--also", "pycrypto==2.6.1"],  # was only ever released as source
        env={**os.environ, "PATH": f"{here}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert "pycrypto" in done.stderr
    assert "not every requirement has a wheel" in done.stderr
