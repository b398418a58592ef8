"""What tests share: where the real models and photographs are."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
TESTDATA = ROOT.parent / "shared" / "testdata"
sys.path.append(str(ROOT / "tests" / "models"))  # scripts that build models

# No test fails for the time that one example took: the machine may be busy.
hypothesis.settings.register_profile("edged", deadline=None)
hypothesis.settings.load_profile("edged")


@pytest.fixture(scope="session")
def testdata() -> Path:
    """The folder of real models and photographs, or a skip that names it."""
    if not TESTDATA.is_dir():
        pytest.skip(f"real models and photographs are not there: {TESTDATA}")
    return TESTDATA


@pytest.fixture(autouse=True)
def _children_of_others_do_not_count() -> None:
    crew = sys.modules.get("crew")
    if crew is not None:
        crew.ignore_strangers()


@pytest.fixture(scope="module", autouse=True)
def _no_lab_driver_is_left() -> Iterator[None]:
    """Take the laboratory's driver back: schema and messages list every driver that there is."""
    yield
    crew = sys.modules.get("crew")
    if crew is not None:
        crew.withdraw_lab_driver()
