"""What workers write to standard error reaches the log bounded and readable."""

from __future__ import annotations

import logging
import os

from hypothesis import given
from hypothesis import strategies as st

from edged.supervisor import worker_output
from edged.supervisor.worker_output import BURST, LONGEST, REFILL_S, Lines, OutputPump


class Log:
    def __init__(self) -> None:
        self.now = 0.0
        self.written: list[tuple[int, str]] = []
        self.lines = Lines(lambda level, text: self.written.append((level, text)), lambda: self.now)


def test_a_line_has_the_priority_that_is_in_front_of_it() -> None:
    log = Log()
    log.lines.feed(b"<3>a defect\n<6>running\nCorrupt JPEG data\n")
    assert log.written == [
        (logging.ERROR, "a defect"),
        (logging.INFO, "running"),
        (logging.WARNING, "Corrupt JPEG data"),
    ]


def test_what_libraries_print_about_a_damaged_picture_is_left_out() -> None:
    log = Log()
    log.lines.feed(
        b"Corrupt JPEG data: 1 extraneous bytes before marker 0xd5\nPremature end of JPEG file\n"
        b"libpng warning: bad adaptive filter value\n<4>b.jpg is left out\n"
    )
    assert log.written == [(logging.WARNING, "b.jpg is left out")]


def test_lines_come_in_pieces() -> None:
    log = Log()
    for piece in (b"<4>ha", b"lf", b"\n\n<6>whole\nres"):
        log.lines.feed(piece)
    assert [text for _, text in log.written] == ["half", "whole"]


def test_a_flood_is_a_burst_then_a_line_now_and_then_with_the_count_of_the_others() -> None:
    log = Log()
    for _ in range(1000):
        log.lines.feed(b"Corrupt JPEG data\n")
    assert len(log.written) == BURST
    log.now += REFILL_S
    log.lines.feed(b"again\n")
    assert [text for _, text in log.written[BURST:]] == [
        f"{1000 - BURST} lines of workers are left out here",
        "again",
    ]


def test_an_hour_of_noise_is_less_than_a_megabyte() -> None:
    log = Log()
    for second in range(3600):
        log.now = float(second)
        for _ in range(30):
            log.lines.feed(b"x" * 2000 + b"\n")
    assert sum(len(text) for _, text in log.written) < 1_000_000


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_whatever_comes_is_printable_and_short(pieces: list[bytes]) -> None:
    log = Log()
    for piece in pieces:
        log.lines.feed(piece)
    assert all(text.isprintable() and len(text) <= LONGEST for _, text in log.written)


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    log = Log()
    for _ in range(100):
        log.lines.feed(b"x" * 4096)
    assert log.written
    assert len(log.lines._rest) <= worker_output._MOST_PENDING


def test_the_pipe_passes_on_what_was_written() -> None:
    outlet = OutputPump()
    written: list[str] = []
    outlet._lines = Lines(lambda _level, text: written.append(text))
    os.write(outlet.write_fd, b"<6>hello\n")
    outlet.pump()
    outlet.pump()
    assert written == ["hello"]
    outlet.close()
    outlet.close()
