"""What tests share: where the real models and photographs are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = ROOT.parent / "shared" / "testdata"


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real models and photographs, or a skip that names it."""
    if not TESTDATA.is_dir():
        pytest.skip(f"real models and photographs are not there: {TESTDATA}")
    return TESTDATA
