"""No device's line keeps the sensors busy for ever."""

from __future__ import annotations

import re
import time

import pytest

from edged.sensors import pattern_bounds

GOOD = [
    "W:(?P<weight>[-0-9.]+)",
    r"T=(?P<temperature>\S+) H=(?P<humidity>\S+)",
    r"(?P<a>[0-9]+)(?:\.[0-9]+)?",
    r"(?:ok|fine) (?P<a>[^)(*+]+)",
    r"(?P<a>\d{2})(?:,x)*",
    r"\((?P<a>.+?)\)+",
    r"(?P<a>[0-9]+){1}",
    r"[]+*]+(?P<a>.)",
]
BAD = [
    "(?P<a>([0-9]+)+)x",
    "(?P<a>(a*)*)b",
    r"(?P<a>(\w+\s?)*)$",
    "(?P<a>(a|aa)+)b",
    "(?P<a>(?:a{2,})+)b",
    "(?P<a>(?:(?:a+)b?)*)c",
    "(?P<a>(a+){20})b",
    "(?P<a>(a+)+?)b",
    r"(?P<a>(?:[)]+)+)b",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_patterns_that_end_are_accepted(pattern: str) -> None:
    assert not pattern_bounds.may_run_away(pattern)
    began = time.monotonic()
    for line in ("0" * 511 + "!", "a" * 511 + "!", "T=" * 255, ") " * 255):
        re.search(pattern, line)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("pattern", BAD)
def test_patterns_that_may_run_away_are_refused(pattern: str) -> None:
    re.compile(pattern)
    assert pattern_bounds.may_run_away(pattern)
