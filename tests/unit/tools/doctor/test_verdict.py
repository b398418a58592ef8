from __future__ import annotations

import asyncio
import threading

import pytest

from edged.system.patience import within
from edged.tools.doctor.verdict import Check, absent, error, ok, skipped, together, warning


def test_the_gravest_counts_and_brings_its_fix() -> None:
    found = together(
        [ok("a"), warning("b", "mend b"), error("c", "mend c"), error("d", "mend c"), absent("e")]
    )
    assert found == error("a; b; c; d; e", "mend c")


def test_what_was_skipped_weighs_more_than_what_is_well_and_less_than_a_warning() -> None:
    assert together([ok("a"), skipped("b")]).status == "skipped"
    assert together([skipped("b"), warning("c")]).status == "warning"


def test_a_check_is_plain_data() -> None:
    assert Check("clock", *ok("synchronised")).data() == {
        "name": "clock",
        "status": "ok",
        "detail": "synchronised",
        "fix": "",
    }


def test_what_hangs_is_waited_for_no_longer_than_allowed() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        asyncio.run(within(0.05, never.wait))
    never.set()


def test_what_is_returned_or_raised_arrives() -> None:
    assert asyncio.run(within(5, lambda: 42)) == 42
    with pytest.raises(ZeroDivisionError):
        asyncio.run(within(5, lambda: 1 // 0))
