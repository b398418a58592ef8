from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edged.errors import Reason, Unavailable
from edged.sources import Hint
from edged.sources.drivers import lines
from edged.sources.drivers.lines import MOST_CHARACTERS, Config, Lines

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 5.0


@pytest.fixture
def opened() -> Iterator[Any]:
    """Opens sources, and closes them in the end."""
    made: list[Lines] = []

    def make(**keys: Any) -> Lines:
        made.append(Lines(Config(**{"interval_s": 0, **keys})))
        made[-1].open()
        return made[-1]

    yield make
    for source in made:
        source.close()


def given(source: Lines, count: int = 1) -> list[str]:
    """Return the next lines, in s at most."""
    found: list[str] = []
    end = time.monotonic() + DEADLINE_S
    while len(found) < count and time.monotonic() < end:
        if (text := source.read(0.02)) is not None:
            found.append(str(text.values.item()))
    return found


def add(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_a_file_is_followed_from_its_end_on(tmp_path: Path, opened: Any) -> None:
    log = tmp_path / "door.log"
    log.write_text("before\n")
    source = opened(path=log)
    assert (source.read(0.0), source.begun) == (None, True)
    add(log, "the door\n\n  opens  \nhalf a li")
    assert given(source, 2) == ["the door", "opens"]
    assert source.read(0.0) is None
    add(log, "ne\n")
    assert given(source) == ["half a line"]
    assert source.read(0.0) is None


def test_a_file_that_is_truncated_begins_again(tmp_path: Path, opened: Any) -> None:
    log = tmp_path / "door.log"
    log.write_text("a long line from before\n")
    source = opened(path=log)
    log.write_text("")
    assert source.read(0.0) is None
    add(log, "anew\n")
    assert given(source) == ["anew"]


def test_a_whole_file_ends(tmp_path: Path, opened: Any) -> None:
    log = tmp_path / "door.log"
    log.write_text("one\ntwo")
    source = opened(path=log, from_start=True)
    assert given(source, 2) == ["one", "two"]
    with pytest.raises(Unavailable) as caught:
        source.read(0.0)
    assert caught.value.reason is Reason.ENDED


def test_a_fifo_may_wait_for_its_writer_and_lose_it(tmp_path: Path, opened: Any) -> None:
    os.mkfifo(tmp_path / "chat")
    source = opened(path=tmp_path / "chat")
    assert source.read(0.0) is None
    for words in ("hello", "goodbye"):
        with (tmp_path / "chat").open("w") as writer:
            writer.write(f"{words}\n")
        assert given(source) == [words]
    assert source.read(0.05) is None


def test_a_program_gives_what_it_prints_and_ends_with_it(opened: Any) -> None:
    source = opened(command=["printf", "one\\ntwo"])
    assert given(source, 2) == ["one", "two"]
    with pytest.raises(Unavailable) as caught:
        given(source)
    assert caught.value.reason is Reason.ENDED


def test_a_program_that_fails_is_opened_again(opened: Any) -> None:
    source = opened(command=["false"])
    with pytest.raises(Unavailable, match="false ended with status 1") as caught:
        given(source)
    assert caught.value.reason is Reason.LOST


def test_closing_ends_the_program_and_its_children(opened: Any) -> None:
    source = opened(command=["sh", "-c", "sleep 98765 & echo started; wait"])
    assert given(source) == ["started"]
    source.close()
    source.close()
    left = subprocess.run(["pgrep", "-f", "sleep 98765"], capture_output=True, text=True, check=False).stdout
    states = {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in left.split()}
    assert states <= {"Z"}


def test_long_lines_are_cut_and_many_are_dropped(tmp_path: Path, opened: Any) -> None:
    log = tmp_path / "log"
    log.write_text("")
    source = opened(path=log)
    add(log, "x" * 100_000 + "\n" + "".join(f"{n}\n" for n in range(300)))
    source.idle(None)
    while source.read(0.0) is not None:
        pass
    assert source.dropped["skipped"] >= 100
    add(log, "x" * 100_000 + "\n")
    assert len(given(source)[0]) <= MOST_CHARACTERS
    add(log, "a\nb\nc\n")
    source.idle(1)
    assert given(source) == ["c"]


def test_lines_keep_their_distance(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a\nb\nc\n")
    now = [100.0]
    source = Lines(Config(path=tmp_path / "log", from_start=True, interval_s=1), monotonic=lambda: now[0])
    source.open()
    first = source.read(0.0)
    assert first is not None
    assert (first.number, source.read(0.0)) == (0, None)
    now[0] += 1
    second = source.read(0.0)
    assert second is not None
    assert second.number == 1
    source.close()


@pytest.mark.parametrize(
    ("keys", "why", "reason"),
    [
        ({"path": "/nowhere/door.log"}, "nowhere", Reason.ABSENT),
        ({"path": "/dev/null"}, "not a file or a FIFO", Reason.ABSENT),
        ({"command": ["no-such-program"]}, "there is no program no-such-program", Reason.ABSENT),
    ],
)
def test_what_cannot_be_opened_is_named(keys: dict[str, Any], why: str, reason: Reason) -> None:
    source = Lines(Config(**keys))
    with pytest.raises(Unavailable, match=why) as caught:
        source.open()
    assert caught.value.reason is reason
    with pytest.raises(Unavailable) as caught:
        source.read(0.0)
    assert caught.value.reason is Reason.LOST


def test_one_origin_is_written() -> None:
    for keys in ({}, {"path": "/a", "command": ["b"]}, {"command": ["b"], "from_start": True}):
        with pytest.raises(ValueError, match=r"write path or command|from_start is for path"):
            Config(**keys)


def test_the_walls_let_file_or_program_through() -> None:
    assert lines.needs(Config(path="/var/log/door.log")).files == ("/var/log/door.log",)
    found = lines.needs(Config(command=[sys.executable, "/a.py", "-v"]))
    assert (found.programs, found.files) == ((sys.executable,), ("/a.py",))
    assert lines.create(Config(path="/a"), Hint()).begun is False
