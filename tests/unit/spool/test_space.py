"""A disk with too little room, or none for this user: nothing that waits is destroyed, the cause is said."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
import types
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edged.spool.commits import SMALL
from edged.spool.database import DiskError, Sqlite, Trouble
from edged.spool.disk import NAME, DiskSpool
from edged.spool.store import PAGE
from edged.tools.audit import audit
from unit.spool.doubles import FLUSH_S, Clock, Flushed, disk, event, until, until_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = 65534


class Room:
    """The bytes that are free on the disk, and how often the spool asked for them."""

    def __init__(self) -> None:
        self.bytes = 49_000_000
        self.asked = 0

    def __call__(self, _folder: Path) -> int:
        self.asked += 1
        return self.bytes

    def retried(self, times: int = 3) -> None:
        """Let the writer try again this many times: it asks before each commit."""
        before = self.asked
        until(lambda: self.asked >= before + times)


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def spools(clock: Clock, tmp_path: Path, room: Room) -> Iterator[Callable[..., DiskSpool]]:
    """Open spools in one folder, one after the other."""
    made: list[DiskSpool] = []

    def build(**changes: object) -> DiskSpool:
        for spool in made:
            spool.close()
        made.append(disk(clock, tmp_path, free=room, min_free_mb=50, **changes))
        return made[-1]

    yield build
    for spool in made:
        spool.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk without room is tried again at once, and often."""
    monkeypatch.setattr("edged.spool.writer.RETRY_S", (0.01, 0.01))


@pytest.fixture
def stranger(tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Become somebody who may not read or write in the folder."""
    was = os.geteuid()

    def change() -> None:
        if was == 0:
            os.seteuid(NOBODY)
        else:
            tmp_path.chmod(0)

    yield change
    if was == 0:
        os.seteuid(0)
    tmp_path.chmod(0o700)


def ids(spool: DiskSpool) -> list[str]:
    return [json.loads(row.payload)["id"] for row in Flushed(spool).pending(10_000) if row.pipeline]


def test_what_does_not_fit_into_a_small_file_waits_in_memory(
    spools: Callable[..., DiskSpool], room: Room, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = spools()
    for _ in range(500):
        spool.accept(event())
        spool.flush(0.001)
    room.retried()
    assert spool.state == "memory: the disk is full: less than 50 MB are free"
    assert (spool.counts().accepted, spool.counts().queued, spool.counts().dropped) == (500, 500, {})
    assert (tmp_path / NAME).stat().st_size <= SMALL * PAGE
    there = audit(tmp_path)
    assert (there["balanced"], there["dropped"], there["queued"]) == (True, {}, there["accepted"])
    waiting = 500 - there["accepted"]
    assert waiting > 300
    spool.close()
    assert f"{waiting} events were only in memory and are lost" in caplog.text
    assert audit(tmp_path)["balanced"]
    assert audit(tmp_path)["dropped"] == {}


def test_once_there_is_room_what_waited_moves_to_the_disk(
    spools: Callable[..., DiskSpool], room: Room, tmp_path: Path
) -> None:
    spool = spools()
    for _ in range(500):
        spool.accept(event())
    room.retried()
    room.bytes = 10**9
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    found = audit(tmp_path)
    assert (found["accepted"], found["queued"], found["dropped"]) == (500, 500, {})
    assert len(set(ids(spool))) == 500


def test_memory_drops_by_its_own_bound_only(
    spools: Callable[..., DiskSpool], room: Room, tmp_path: Path
) -> None:
    spool = spools(max_mb=0.1)
    for _ in range(500):
        spool.accept(event())
        spool.flush(0.001)
    room.retried()
    counts = spool.counts()
    assert set(counts.dropped) == {"memory_full"}
    assert counts.balanced
    assert counts.queued > audit(tmp_path)["queued"] > 0
    assert audit(tmp_path)["dropped"] == {}


def test_a_node_whose_broker_answers_goes_on_from_the_disk(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = spools()
    for _ in range(100):
        spool.accept(event())
        assert spool.flush(FLUSH_S)
        for row in Flushed(spool).pending(9):
            spool.acknowledged(row.sequence)
    assert (spool.counts().acknowledged, spool.counts().dropped, spool.state) == (100, {}, "disk")
    spool.close()
    assert audit(tmp_path)["acknowledged"] == 100


def test_in_a_large_file_the_oldest_make_room_one_for_one(
    spools: Callable[..., DiskSpool], room: Room, tmp_path: Path
) -> None:
    room.bytes = 10**9
    spool = spools()
    for _ in range(1000):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    spool.close()
    size = (tmp_path / NAME).stat().st_size
    spool = spools()
    room.bytes = 49_000_000
    for _ in range(200):
        spool.accept(event())
        assert spool.flush(FLUSH_S)
    counts = spool.counts()
    assert set(counts.dropped) == {"min_free"}
    assert 150 < counts.dropped["min_free"] < 250
    assert counts.balanced
    assert f"n/{spool.epoch}/1200" in ids(spool)
    spool.close()
    assert (tmp_path / NAME).stat().st_size <= size
    found = audit(tmp_path)
    assert (found["balanced"], found["dropped"]["min_free"]) == (True, counts.dropped["min_free"])


class _Full:
    """A connection that has no room for a commit while it is told so."""

    full = False

    def __init__(self, path: Path) -> None:
        self._database = Sqlite(path)
        self.rows_of = self._database.rows
        self.many, self.close = self._database.many, self._database.close

    def rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        if sql == "COMMIT" and type(self).full:
            raise DiskError(Trouble.FULL, "as the test told it")
        return self.rows_of(sql, values)


@pytest.mark.parametrize("reason", ["min_free", "full", "age"])
def test_what_was_to_make_room_stays_where_the_commit_fails(
    spools: Callable[..., DiskSpool], room: Room, clock: Clock, tmp_path: Path, reason: str
) -> None:
    room.bytes = 10**9

    class Connection(_Full):
        pass

    spool = spools(connect=Connection, max_mb=0.05 if reason == "full" else 1)
    while spool.counts().queued < 900 and not spool.counts().dropped:
        for _ in range(20):
            spool.accept(event())
        assert spool.flush(FLUSH_S)
    before = spool.counts()
    Connection.full = True
    if reason == "min_free":
        room.bytes = 49_000_000
    if reason == "age":
        clock.step(3601)
        spool.flush(0)  # which looks at ages, and finds the disk full
    for _ in range(20):
        spool.accept(event())
    room.retried(5)
    assert spool.state == "memory: the disk is full: as the test told it"
    during = spool.counts()
    assert during.dropped == before.dropped
    assert during.queued == before.queued + 20
    assert during.balanced
    Connection.full = False
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    after = spool.counts()
    assert after.balanced
    assert after.dropped[reason] > before.dropped.get(reason, 0)
    spool.close()
    found = audit(tmp_path)
    assert found["balanced"]
    assert found["dropped"] == after.dropped


def test_a_folder_of_another_user_is_called_so(
    tmp_path: Path, clock: Clock, stranger: Callable[[], None]
) -> None:
    stranger()
    spool = disk(clock, tmp_path)
    spool.close()
    assert spool.state.startswith("memory: this user may not write there: [Errno 13] Permission denied")
    assert "run edged as the user that owns state_dir, or name another state_dir" in spool.state
    assert "read-only" not in spool.state


@pytest.fixture
def killed(stranger: Callable[[], None], clock: Clock) -> Iterator[Path]:
    """The folder, with its log, of a spool that was killed, and of a user who is not root and is this one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, -1)
            stranger()
        spool = disk(clock, folder / "first")
        spool.accept(event())
        assert spool.flush(FLUSH_S)
        shutil.copytree(folder / "first", folder / "killed")
        spool.close()
        yield folder / "killed"
        if os.getuid() == 0:
            os.seteuid(0)  # the folder's own folder may be closed to that user


@pytest.mark.parametrize(
    ("folder", "which"), [("killed", NAME), ("killed", f"{NAME}-wal"), ("first", NAME), ("first", "")]
)
def test_a_file_that_this_user_may_not_write_is_named_with_the_command(
    killed: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, folder: str, which: str
) -> None:
    monkeypatch.setattr("edged.spool.writer.RETRY_S", (0.05, 0.05))
    file = killed.parent / folder / which
    mode = file.stat().st_mode
    file.chmod(mode & ~0o222)
    mended = threading.Event()

    def connect(path: Path) -> Sqlite:
        if mended.is_set():
            file.chmod(mode)  # here, so that the mode does not change in the middle of an attempt
        return Sqlite(path)

    spool = disk(clock, killed.parent / folder, connect=connect)
    spool.accept(event())
    assert spool.state.startswith(f"memory: this user may not write there: {file} is not writable for ")
    assert spool.state.endswith(f": chmod u+w {file}")
    mended.set()
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    assert spool.counts().queued == 2
    spool.close()
    assert not list(killed.parent.glob("*/*damaged*"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_a_file_of_another_user_is_to_be_given_back(killed: Path, clock: Clock) -> None:
    os.seteuid(0)
    os.chown(killed / NAME, 0, 0)
    (killed / NAME).chmod(0o644)
    os.seteuid(NOBODY)
    spool = disk(clock, killed)
    spool.close()
    assert spool.state.endswith(f"/{NAME} is not writable for nobody: chown nobody {killed / NAME}")


def test_a_disk_that_is_read_only_is_called_so(
    killed: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    (killed / f"{NAME}-wal").chmod(0o400)  # to sqlite it is the same
    monkeypatch.setattr(os, "statvfs", lambda _path: types.SimpleNamespace(f_flag=os.ST_RDONLY))
    spool = disk(clock, killed)
    spool.close()
    assert spool.state == "memory: the disk is read-only: attempt to write a readonly database"


@pytest.mark.parametrize("below", ["", "state"])
def test_a_file_in_place_of_the_folder_is_called_so(tmp_path: Path, clock: Clock, below: str) -> None:
    (tmp_path / "file").touch()
    spool = disk(clock, tmp_path / "file" / below)
    spool.close()
    assert spool.state.startswith("memory: its file cannot be reached: [Errno 20] Not a directory")
    assert "a part of state_dir is a file: name a folder" in spool.state
