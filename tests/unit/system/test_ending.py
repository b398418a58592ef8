from __future__ import annotations

import signal

import pytest

from edged.system.ending import Ending


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (0, "ended with exit status 0"),
        (70, "ended with exit status 70"),
        (-signal.SIGSEGV, "was ended by SIGSEGV"),
        (-63, "was ended by signal 63"),
        (None, "ended"),
    ],
)
def test_an_ending_is_one_sentence(status: int | None, sentence: str) -> None:
    assert str(Ending(status)) == sentence


def test_the_signal_is_told_apart_from_an_exit_status() -> None:
    assert (Ending(-signal.SIGKILL).signal, Ending(9).signal, Ending(None).signal) == (signal.SIGKILL, 0, 0)
