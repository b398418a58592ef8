from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING

from edged.worker import startup

if TYPE_CHECKING:
    import pytest


def test_a_unit_that_refuses_limits_keeps_no_worker_from_living(monkeypatch: pytest.MonkeyPatch) -> None:
    """``SystemCallFilter=~@resources`` answers EPERM, of which Python makes a ValueError."""
    asked = []

    def refuse(*limits: object) -> None:
        asked.append(limits)
        raise ValueError("not allowed to raise maximum limit")

    def deny(*text: object) -> int:
        asked.append(text)
        raise PermissionError

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(Path, "write_text", deny)
    startup._limit()
    assert len(asked) == 2
