"""What the tests of the configuration share: what is said of a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edged.config.loader import loads
from edged.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], list[str]]:
    """Return a function from a text to the problems in it."""

    def problems(text: str) -> list[str]:
        try:
            loads(text, "f", tmp_path)
        except ConfigError as error:
            return [str(problem) for problem in error.problems]
        return []

    return problems
