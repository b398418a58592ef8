"""What is promised by one store is promised by the other."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unit.spool.doubles import Clock, Flushed, disk, memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.spool.disk import DiskSpool


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", "disk"])
def make(request: pytest.FixtureRequest, clock: Clock) -> Iterator[Callable[..., Any]]:
    """Make a spool of either kind; all are closed in the end."""
    with tempfile.TemporaryDirectory() as folder:
        made: list[DiskSpool] = []

        def build(**changes: Any) -> Any:
            if request.param == "memory":
                return memory(clock, **changes)
            made.append(disk(clock, Path(folder) / str(len(made)), **changes))
            return Flushed(made[-1])

        yield build
        for spool in made:
            spool.close()
