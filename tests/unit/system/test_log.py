"""Logging: each reader gets its form, nobody gets a secret, the same warning comes once and is counted."""

from __future__ import annotations

import io
import json
import logging
import os
import pty
import re
from typing import TYPE_CHECKING, NoReturn

import pytest

from edged.system import log

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    kept = (root.handlers, root.level, logging.raiseExceptions)
    yield
    root.handlers, level, logging.raiseExceptions = kept
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def written(form: str = "text") -> tuple[io.StringIO, logging.Logger]:
    stream = io.StringIO()
    log.setup(form, stream)
    return stream, logging.getLogger("edged.test")


def fail(error: Exception) -> NoReturn:
    raise error


def test_a_file_gets_the_date_and_the_level_of_each_line() -> None:
    stream, logger = written()
    logger.warning("two")
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  warning two", line)


def test_the_journal_gets_the_priority_of_each_line() -> None:
    stream, logger = written("journal")
    logger.info("one")
    logger.warning("two")
    logger.error("four")
    logger.debug("nothing")
    assert stream.getvalue().splitlines() == ["<6>one", "<4>two", "<3>four"]


@pytest.mark.parametrize("form", ["journal", "json"])
def test_words_of_others_begin_no_line_and_steer_no_terminal(form: str) -> None:
    stream, logger = written(form)
    logger.warning("camera: %s", "gone\n<6>porch: running\x1b[2J\x9b1A\u202e")
    (line,) = stream.getvalue().splitlines()
    said = json.loads(line)["message"] if form == "json" else line.removeprefix("<4>")
    assert said == "camera: gone <6>porch: running?[2J?1A?"


def test_a_traceback_steers_no_terminal_either() -> None:
    stream, logger = written("journal")
    try:
        fail(RuntimeError("broken\x1b]0;owned\x07"))
    except RuntimeError:
        logger.exception("a defect")
    assert stream.getvalue().endswith("<3>RuntimeError: broken?]0;owned?\n")


def test_a_traceback_has_it_on_every_line() -> None:
    stream, logger = written("journal")
    try:
        fail(RuntimeError("broken"))
    except RuntimeError:
        logger.exception("a defect")
    lines = stream.getvalue().splitlines()
    assert len(lines) > 3
    assert all(line.startswith("<3>") for line in lines)
    assert lines[-1] == "<3>RuntimeError: broken"


def test_a_terminal_shows_time_and_level() -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        log.setup("text", terminal)
        logging.getLogger("edged.test").warning("camera away")
        terminal.flush()
        line = os.read(ours, 1000).decode().rstrip()
    os.close(ours)
    time, level, *words = line.split()
    assert len(time.split(":")) == 3
    assert (level, words) == ("warning", ["camera", "away"])


def test_the_journal_is_known_by_its_device_and_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert log.is_journal(stream)
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino + 1}")
        assert not log.is_journal(stream)
    assert not log.is_journal(io.StringIO())


def test_json_is_one_object_a_line() -> None:
    stream, logger = written("json")
    logger.warning("camera %s", "away")
    try:
        fail(RuntimeError("broken"))
    except RuntimeError:
        logger.exception("a defect")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first["ts"].endswith("Z")
    assert {k: first[k] for k in ("level", "logger", "message")} == {
        "level": "warning",
        "logger": "edged.test",
        "message": "camera away",
    }
    assert "RuntimeError: broken" in second["traceback"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_password_of_an_address_is_never_written(form: str) -> None:
    stream, logger = written(form)
    try:
        fail(OSError("cannot open rtsp://me:secret@cam/1"))
    except OSError:
        logger.exception("rtsp://me:secret@cam/1 is away")
    assert "secret" not in stream.getvalue()
    assert "rtsp://cam is away" in stream.getvalue()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def record(message: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("edged.test", level, __file__, 1, "%s", (message,), None)


def test_the_same_warning_comes_once_and_is_then_counted_at_growing_intervals() -> None:
    clock = Clock()
    repeats = log.Repeats(clock)
    told = []
    for second in range(8000):
        clock.now = 1000.0 + second
        one = record("camera away")
        if repeats.filter(one):
            told.append((second, one.getMessage()))
    assert told == [
        (0, "camera away"),
        (10, "camera away (10 more times in 10 s)"),
        (70, "camera away (60 more times in 60 s)"),
        (670, "camera away (600 more times in 10 min)"),
        (4270, "camera away (3600 more times in 60 min)"),
        (7870, "camera away (3600 more times in 60 min)"),
    ]


def test_other_warnings_and_all_that_is_no_warning_pass() -> None:
    repeats = log.Repeats(Clock())
    assert [repeats.filter(record(m)) for m in ("a", "b", "a")] == [True, True, False]
    assert all(repeats.filter(record("ready", logging.INFO)) for _ in range(3))


def test_after_hours_of_silence_it_is_news_again() -> None:
    clock = Clock()
    repeats = log.Repeats(clock)
    assert repeats.filter(record("a"))
    clock.now += 3 * 3600
    again = record("a")
    assert repeats.filter(again)
    assert again.getMessage() == "a"


def test_what_is_remembered_is_bounded() -> None:
    repeats = log.Repeats(Clock())
    for number in range(10 * log.MOST_KEPT):
        repeats.filter(record(str(number)))
    assert len(repeats._seen) == log.MOST_KEPT
