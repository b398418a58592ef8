"""The spool on disk: what it promises beyond a spool in memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from edged.config.outputs import SpoolSection
from edged.errors import StateBusy
from edged.spool import open_spool, recovery
from edged.spool.commits import Commits
from edged.spool.database import Sqlite, Trouble
from edged.spool.disk import LOCK, NAME, DiskSpool
from edged.spool.store import Store
from edged.tools.audit import audit, text
from unit.spool.doubles import (
    FLUSH_S,
    HOUR,
    Clock,
    FaultyDisk,
    Flushed,
    disk,
    event,
    sequences,
    until,
    until_state,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edged.spool import Row
    from edged.spool.accounts import Change

GAP = Draft202012Validator(
    json.loads(resources.files("edged").joinpath("schema/gap.schema.json").read_text("utf-8"))
)


@pytest.fixture
def spools(clock: Clock, tmp_path: Path) -> Iterator[Callable[..., DiskSpool]]:
    """Open spools in one folder, one after the other; the last is closed in the end."""
    made: list[DiskSpool] = []

    def build(**changes: Any) -> DiskSpool:
        for spool in made:
            spool.close()
        made.append(disk(clock, tmp_path, **changes))
        return made[-1]

    yield build
    for spool in made:
        spool.close()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failed disk is tried again at once."""
    monkeypatch.setattr("edged.spool.writer.RETRY_S", (0.01, 0.01))


def records(spool: DiskSpool) -> list[dict[str, Any]]:
    """Take everything, and return what the spool itself said; all of it is as its schema says."""
    found = [json.loads(row.payload) for row in Flushed(spool).pending(10_000) if not row.pipeline]
    for record in found:
        GAP.validate(record)
    return found


def test_rows_outlive_the_process_and_ids_go_on(spools: Callable[..., DiskSpool]) -> None:
    spool = spools()
    ids = [spool.accept(event()).id for _ in range(3)]
    Flushed(spool).pending(1)
    spool.acknowledged(1)
    again = spools()
    assert again.accept(event()).id == f"n/{spool.epoch}/4"
    rows = Flushed(again).pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(2, True), (3, True), (4, False)]
    assert [json.loads(row.payload)["id"] for row in rows[:2]] == ids[1:]
    assert again.counts().acknowledged == 1


def test_another_node_begins_another_epoch(clock: Clock, tmp_path: Path) -> None:
    one = DiskSpool(tmp_path, "one", time=clock.time())
    one.accept(event())
    one.close()
    two = DiskSpool(tmp_path, "two", time=clock.time())
    assert two.epoch != one.epoch
    assert two.accept(event()).id == f"two/{two.epoch}/1"
    two.close()


def test_an_event_is_told_and_handed_out_only_when_it_is_on_disk(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    told: list[bytes] = []
    spool = spools(low_wear_s=3600, call_soon=lambda function: function(), on_committed=told.extend)
    accepted = spool.accept(event())
    assert spool.pending(9) == []
    assert (spool.counts().accepted, spool.unaccepted, told) == (0, 1, [])
    assert audit(tmp_path)["accepted"] == 0
    assert spool.flush(FLUSH_S)
    assert (spool.counts().accepted, spool.unaccepted) == (1, 0)
    assert audit(tmp_path)["accepted"] == 1
    assert sequences(spool.pending(9)) == [1]
    spool.close()
    assert [json.loads(payload)["id"] for payload in told] == [accepted.id]


def test_the_configuration_opens_it(tmp_path: Path) -> None:
    told: list[bytes] = []
    spool = open_spool(
        SpoolSection(max_mb=1), node="n", state_dir=tmp_path / "new",
        call_soon=lambda function: function(), on_committed=told.extend,
    )  # fmt: skip
    spool.accept(event())
    assert spool.state == "disk"
    spool.close()
    assert len(told) == 1
    assert (tmp_path / "new" / NAME).stat().st_mode & 0o77 == 0


def test_a_second_daemon_is_refused_with_the_name_of_the_first(
    spools: Callable[..., DiskSpool], clock: Clock, tmp_path: Path
) -> None:
    spools()
    with pytest.raises(StateBusy, match=rf"process {os.getpid()}\) uses .*: stop it"):
        disk(clock, tmp_path)


def test_the_audit_reads_beside_the_daemon_and_after_it(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = spools()
    for _ in range(50):
        spool.accept(event())
    for row in Flushed(spool).pending(20):
        spool.acknowledged(row.sequence)
    spool.flush(FLUSH_S)
    found = audit(tmp_path)
    assert (found["accepted"], found["acknowledged"], found["queued"], found["dropped"]) == (50, 20, 30, {})
    assert found["balanced"]
    assert (found["epoch"], found["last"]) == (spool.epoch, 50)
    before = {path.name for path in tmp_path.iterdir()}
    spool.close()
    assert audit(tmp_path) == found
    assert "it adds up" in text(found)
    assert json.loads(json.dumps(found)) == found
    assert f"{NAME}-wal" in before
    assert sorted(path.name for path in tmp_path.iterdir()) == [NAME, LOCK]


def test_an_audit_says_what_does_not_add_up(spools: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = spools()
    for _ in range(5):
        spool.accept(event())
    spool.close()
    database = Sqlite(tmp_path / NAME)
    database.rows("DELETE FROM rows WHERE place = 3")
    database.close()
    found = audit(tmp_path)
    assert not found["balanced"]
    assert "accepted events not accounted for: 1" in text(found)


def test_an_audit_of_nothing_and_of_a_wreck(tmp_path: Path) -> None:
    assert audit(tmp_path)["balanced"]
    (tmp_path / NAME).write_bytes(b"no database at all" * 100)
    found = audit(tmp_path)
    assert not found["balanced"]
    assert "not a database" in found["problem"]


def test_a_drop_is_reported_once_somebody_listens(spools: Callable[..., DiskSpool], clock: Clock) -> None:
    spool = spools()
    for _ in range(4):
        spool.accept(event())
    spool.flush(FLUSH_S)
    clock.step(HOUR + 1)
    spool.accept(event())
    assert spool.flush(FLUSH_S)
    spool = spools()
    assert spool.counts().dropped == {"age": 4}
    (gap,) = records(spool)
    stem = f"n/{spool.epoch}"
    assert (gap["type"], gap["reason"], gap["count"]) == ("gap", "age", 4)
    assert (gap["first"], gap["last"], gap["id"]) == (f"{stem}/1", f"{stem}/4", f"{stem}/6")
    assert spool.counts().accepted == 6
    assert spool.counts().balanced


def test_with_little_room_on_the_disk_the_file_does_not_grow(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    free = [10**9]
    spool = spools(free=lambda _: free[0], min_free_mb=50)
    for _ in range(100):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    spool.close()
    size = (tmp_path / NAME).stat().st_size
    spool = spools(free=lambda _: free[0], min_free_mb=50)
    free[0] = 49_000_000
    for _ in range(30):
        spool.accept(event())
        assert spool.flush(FLUSH_S)
    assert spool.counts().dropped["min_free"] > 0
    assert spool.counts().balanced
    spool.close()
    assert (tmp_path / NAME).stat().st_size <= size


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", [Trouble.FULL, Trouble.READONLY, Trouble.FAILED, Trouble.LOCKED])
def test_while_the_disk_fails_events_go_out_from_memory_and_move_to_the_disk_later(
    spools: Callable[..., DiskSpool], tmp_path: Path, fault: Trouble
) -> None:
    broken, told = FaultyDisk(), []
    spool = spools(connect=broken, call_soon=lambda function: function(), on_committed=told.extend)
    for _ in range(3):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    epoch = spool.epoch
    broken.fault = fault
    spool.accept(event())
    until_state(spool, f"memory: {fault.value}")
    spool.accept(event())
    rows = spool.pending(9)
    ids = [json.loads(row.payload)["id"] for row in rows]
    assert ids == [*(f"n/{epoch}/{n}" for n in (1, 2, 3)), *(f"n/{spool.epoch}/{n}" for n in (1, 2))]
    assert spool.epoch != epoch
    spool.acknowledged(rows[0].sequence)
    spool.acknowledged(rows[3].sequence)
    assert (spool.counts().accepted, spool.counts().queued) == (5, 3)
    assert spool.counts().balanced
    broken.fault = None
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    found = audit(tmp_path)
    accepted = 6 if fault is Trouble.FAILED else 5  # a file that failed is made anew, and says so
    assert (found["accepted"], found["acknowledged"], found["balanced"]) == (accepted, 2, True)
    spool.released(row.sequence for row in rows)
    back = [json.loads(row.payload)["id"] for row in Flushed(spool).pending(9) if row.pipeline]
    assert back == [ids[1], ids[2], ids[4]]
    assert len(told) == 5


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", [Trouble.FAILED, Trouble.FULL])
def test_what_rests_in_memory_waits_again_too(
    spools: Callable[..., DiskSpool], tmp_path: Path, fault: Trouble
) -> None:
    broken = FaultyDisk()
    spool = spools(connect=broken)
    for _ in range(2):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    broken.fault, broken.only = fault, "" if fault is Trouble.FAILED else "BEGIN"
    spool.accept(event())
    until_state(spool, "memory")
    for _ in range(3):
        spool.accept(event())
    for row in spool.pending(5):
        spool.acknowledged(row.sequence, keep=True)
    assert (spool.counts().queued, spool.counts().acknowledged) == (1, 5)
    spool.settled([3])
    spool.recalled([5, 2, 4, 3])
    assert (spool.counts().queued, spool.counts().acknowledged) == (4, 2)
    rows: list[Row] = []
    while len(rows) < (3 if fault is Trouble.FAILED else 4):  # those on a disk that failed wait for it
        rows += spool.pending(9)
    assert [(row.sequence, row.waited) for row in rows][-3:] == [(4, True), (5, True), (6, False)]
    spool.acknowledged(4, keep=True)
    broken.fault = None
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    spool.recalled([4])
    spool.released([2, 5, 6])
    assert [row.sequence for row in Flushed(spool).pending(9) if row.pipeline] == [2, 4, 5, 6]
    assert spool.counts().balanced
    spool.close()
    found = audit(tmp_path)
    assert (found["balanced"], found["acknowledged"]) == (True, 2)


@pytest.mark.usefixtures("quick")
def test_what_rested_in_memory_and_is_recalled_later_takes_its_place_among_those_on_disk(
    spools: Callable[..., DiskSpool],
) -> None:
    broken = FaultyDisk()
    broken.fault, broken.only = Trouble.FULL, "BEGIN"
    spool = spools(connect=broken, low_wear_s=600)
    for _ in range(3):
        spool.accept(event())
    until_state(spool, "memory")
    spool.acknowledged(spool.pending(1)[0].sequence, keep=True)
    broken.fault = None
    until_state(spool, "disk")
    assert spool.flush(FLUSH_S)
    spool.recalled([1])
    rows: list[Row] = []
    while len(rows) < 3:
        rows += spool.pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(1, True), (2, False), (3, False)]
    assert spool.counts().balanced


@pytest.mark.usefixtures("quick")
def test_rows_in_memory_go_out_beside_a_file_that_came_late_and_cannot_be_written(
    spools: Callable[..., DiskSpool],
) -> None:
    before = spools()
    before.accept(event())
    before.close()
    broken = FaultyDisk()
    broken.fault, broken.only = Trouble.LOCKED, "OPEN"
    spool = spools(connect=broken, free=lambda _: 0)
    for _ in range(3):
        spool.accept(event("a label of some length" * 3))
    broken.fault, broken.only = Trouble.FULL, "PRAGMA page_count"
    until_state(spool, "memory: the disk is full")
    rows: list[Row] = []
    while len(rows) < 4:
        rows += spool.pending(9)
    assert sequences(rows)[:3] == [1, 2, 3]
    assert spool.counts().balanced


def test_while_the_disk_is_away_all_that_is_in_memory_goes_out(spools: Callable[..., DiskSpool]) -> None:
    broken = FaultyDisk()
    broken.fault = Trouble.FAILED
    spool = spools(connect=broken)
    for _ in range(700):
        spool.accept(event())
    gone: list[int] = []
    while rows := spool.pending(20, without={"q"}):
        for row in rows:
            spool.acknowledged(row.sequence)
        gone += sequences(rows)
    assert gone == list(range(1, 701))


@pytest.mark.usefixtures("quick")
def test_a_disk_that_cannot_be_read_at_the_start_is_taken_over_later(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    spool = spools()
    for _ in range(3):
        spool.accept(event())
    spool.close()
    broken = FaultyDisk()
    broken.fault, broken.only = Trouble.LOCKED, "OPEN"
    later = spools(connect=broken)
    assert later.state == "memory: another program holds the file: as the test told it"
    later.accept(event())
    row = later.pending(9)[0]
    assert json.loads(row.payload)["id"] == f"n/{later.epoch}/1"
    broken.fault = None
    until_state(later, "disk")
    assert later.flush(FLUSH_S)
    later.acknowledged(row.sequence)
    later.accept(event())
    waiting = Flushed(later).pending(9)
    ids = [json.loads(row.payload)["id"] for row in waiting]
    assert sorted(ids) == sorted([*(f"n/{spool.epoch}/{n}" for n in (1, 2, 3)), f"n/{later.epoch}/1"])
    assert [row.waited for row in waiting] == [True, True, True, False]
    later.close()
    found = audit(tmp_path)
    assert (found["accepted"], found["acknowledged"], found["queued"]) == (5, 1, 4)
    assert found["balanced"]


def test_memory_is_bounded_and_what_it_drops_is_counted(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    broken = FaultyDisk()
    spool = spools(connect=broken, max_mb=0.1)
    spool.flush(FLUSH_S)
    broken.fault = Trouble.FULL
    for _ in range(500):
        spool.accept(event())
    until_state(spool, "memory")
    dropped = spool.counts().dropped["memory_full"]
    assert 300 < dropped < 500
    assert spool.counts().balanced
    broken.fault = None
    spool.close()
    found = audit(tmp_path)
    assert found["balanced"]
    assert found["accepted"] == 500


def _write(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, path.stat().st_size // 2),
    "head zeroed": lambda path: _write(path, 0, bytes(512)),
    "page zeroed": lambda path: _write(path, 512 * 12, bytes(512)),
    "flipped": lambda path: _write(path, 512 * 12 + 300, b"\xff"),
    "all zero": lambda path: _write(path, 0, bytes(path.stat().st_size)),
    "foreign": lambda path: path.write_bytes(b"GIF89a" * 1000),
    "newer": lambda path: _write(path, 60, (99).to_bytes(4, "big")),
    "of another program": lambda path: _write(path, 68, b"abcd"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_set_aside_and_what_is_readable_goes_on(
    spools: Callable[..., DiskSpool], tmp_path: Path, damage: str
) -> None:
    spool = spools()
    for _ in range(300):
        spool.accept(event())
    spool.close()
    DAMAGES[damage](tmp_path / NAME)
    again = spools()
    assert again.state == "disk"
    assert again.epoch != spool.epoch
    rows = Flushed(again).pending(1000)
    old = [json.loads(row.payload)["id"] for row in rows if row.pipeline]
    (reset,) = [json.loads(row.payload) for row in rows if not row.pipeline]
    GAP.validate(reset)
    assert reset["type"] == "spool_reset"
    assert reset["salvaged"] == len(old) == len(set(old))
    assert set(old) <= {f"n/{spool.epoch}/{number}" for number in range(1, 301)}
    if damage in {"page zeroed", "flipped", "head zeroed", "newer"}:
        assert len(old) > 290
    assert again.accept(event()).id == f"n/{again.epoch}/2"
    again.close()
    assert audit(tmp_path)["balanced"]
    assert audit(tmp_path)["set_aside"] == 1


@pytest.mark.usefixtures("quick")
def test_damage_that_is_met_while_it_runs_is_repaired_while_it_runs(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    broken = FaultyDisk()
    spool = spools(connect=broken)
    for _ in range(10):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    flying = spool.pending(2)
    broken.fault, broken.only, broken.once = Trouble.DAMAGED, "BEGIN", True
    spool.accept(event())
    until(lambda: broken.fault is None and spool.flush(FLUSH_S))
    spool.acknowledged(flying[0].sequence)
    (reset,) = records(spool)
    assert (reset["salvaged"], reset["lost"]) == (10, 0)
    assert spool.flush(FLUSH_S)
    found = audit(tmp_path)
    assert (found["accepted"], found["acknowledged"], found["balanced"]) == (12, 1, True)


def test_only_the_last_damaged_files_are_kept(spools: Callable[..., DiskSpool], tmp_path: Path) -> None:
    for number in range(6):
        spools().close()
        (tmp_path / NAME).write_bytes(bytes([number + 1]) * 1000)
    spools()
    assert audit(tmp_path)["set_aside"] == recovery.KEEP


CRASH = """
import os, sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from unit.spool.doubles import (
    FLUSH_S,
    HOUR,
    Clock,
    FaultyDisk,
    Flushed,
    disk,
    event,
    sequences,
    until,
    until_state,
)
spool = disk(Clock(), Path(sys.argv[1]))
for _ in range(40):
    spool.accept(event())
    spool.flush(9)
os._exit(1)
"""


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """A folder with the spool of a process that ended without a word, 40 events in its log."""
    here = str(Path(__file__).parents[2])
    subprocess.run([sys.executable, "-c", CRASH, str(tmp_path), here], check=False, timeout=60)
    return tmp_path


def test_after_a_crash_everything_is_there_and_the_epoch_goes_on(
    crashed: Path, spools: Callable[..., DiskSpool]
) -> None:
    before = audit(crashed)
    assert (before["accepted"], before["queued"]) == (40, 40)
    spool = spools()
    assert spool.epoch == before["epoch"]
    assert sequences(Flushed(spool).pending(99)) == list(range(1, 41))


@pytest.mark.parametrize("part", ["removed", "cut", "header", "middle", "zeroed"])
def test_where_the_log_is_damaged_no_id_is_given_twice(
    crashed: Path, spools: Callable[..., DiskSpool], part: str
) -> None:
    epoch = audit(crashed)["epoch"]
    log = crashed / f"{NAME}-wal"
    size = log.stat().st_size
    if part == "removed":
        log.unlink()
    elif part == "cut":
        os.truncate(log, size // 2 + 7)
    elif part == "zeroed":
        _write(log, size // 2, bytes(2000))
    else:
        _write(log, 8 if part == "header" else size // 2, b"\xa5\x5a\xa5\x5a")
    spool = spools()
    assert spool.epoch != epoch
    assert spool.counts().balanced
    spool.accept(event())
    ids = [json.loads(row.payload)["id"] for row in Flushed(spool).pending(99)]
    assert len(ids) == len(set(ids))
    assert f"n/{spool.epoch}/1" in ids


def test_a_clock_that_is_wrong_by_years_purges_nothing(
    spools: Callable[..., DiskSpool], clock: Clock
) -> None:
    years = 20 * 366 * 24 * HOUR
    spool = spools()
    spool.accept(event())
    assert spool.flush(FLUSH_S)
    for step in (years, -2 * years, years):
        clock.wall += step
        assert spool.flush(FLUSH_S)
    clock.synced = False
    clock.reboot("boot-2", years)
    spool = spools()
    assert spool.flush(FLUSH_S)
    clock.synced = True
    clock.step(11)
    clock.wall -= years
    spool.accept(event())
    assert spool.flush(FLUSH_S)
    assert spool.counts().dropped == {}


def test_the_time_while_the_machine_was_off_counts_where_both_clocks_were_right(
    spools: Callable[..., DiskSpool], clock: Clock
) -> None:
    spool = spools()
    spool.accept(event())
    spool.flush(FLUSH_S)
    clock.reboot("boot-2", 0.5 * HOUR)
    spool = spools()
    spool.accept(event())
    spool.flush(FLUSH_S)
    row = Flushed(spool).pending(1)[0]
    assert row.left_s == pytest.approx(0.5 * HOUR, abs=1)
    spool.released([1])
    clock.reboot("boot-3", 0.7 * HOUR)
    spool = spools()
    spool.accept(event())
    assert spool.flush(FLUSH_S)
    assert spool.counts().dropped == {"age": 1}


def test_without_a_clock_only_the_time_since_boot_counts(
    spools: Callable[..., DiskSpool], clock: Clock
) -> None:
    clock.synced = False
    spool = spools()
    spool.accept(event())
    spool.flush(FLUSH_S)
    clock.reboot("boot-2", 100 * HOUR)
    spool = spools()
    clock.step(0.5 * HOUR)
    assert spool.flush(FLUSH_S)
    assert spool.counts().dropped == {}
    clock.step(0.6 * HOUR)
    assert spool.flush(FLUSH_S)
    assert spool.counts().dropped == {"age": 1}


def test_rows_that_are_confirmed_are_of_this_epoch(spools: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = spools()
    for _ in range(3):
        spool.accept(event())
    spool.close()
    _write(tmp_path / NAME, 60, (99).to_bytes(4, "big"))
    spool = spools()
    spool.accept(event())
    rows = Flushed(spool).pending(9)
    assert [bool(row.pipeline) for row in rows] == [True, True, True, False, True]
    for row in rows:
        spool.delivered(row.sequence)
    assert (spool.counts().acknowledged, spool.counts().queued) == (3, 2)
    assert spool.confirmed(1) == 1
    assert spool.confirmed(9) == 1
    assert (spool.counts().acknowledged, spool.counts().queued) == (5, 0)


def test_close_may_be_called_twice_and_frees_the_folder(spools: Callable[..., DiskSpool]) -> None:
    spool = spools()
    spool.close()
    spool.close()
    assert spools().state == "disk"


def test_a_long_outage_leaves_no_large_file(
    spools: Callable[..., DiskSpool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.spool.writer.SHRINK_PAGES", 50)
    spool = spools()
    for _ in range(1000):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    for row in Flushed(spool).pending(1000):
        spool.acknowledged(row.sequence)
    assert spool.flush(FLUSH_S)
    spool.close()
    assert (tmp_path / NAME).stat().st_size < 50 * 512
    assert audit(tmp_path)["acknowledged"] == 1000


def test_space_is_returned_when_the_last_row_has_left_the_file_and_not_before(
    spools: Callable[..., DiskSpool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.spool.writer.SHRINK_PAGES", 1)
    spool = spools()
    for _ in range(100):
        spool.accept(event())
    assert spool.flush(FLUSH_S)
    rest = [row.sequence for row in Flushed(spool).pending(100)]
    left: list[int] = []
    write, shrink = Commits.write, Store.shrink

    def acknowledge_meanwhile(self: Commits, store: Store, change: Change, *, check_ages: bool) -> None:
        write(self, store, change, check_ages=check_ages)
        while change.deletes and rest:
            spool.acknowledged(rest.pop())

    def count_and_shrink(self: Store) -> None:
        left.append(len(self.oldest(100)))
        shrink(self)

    monkeypatch.setattr(Commits, "write", acknowledge_meanwhile)
    monkeypatch.setattr(Store, "shrink", count_and_shrink)
    spool.acknowledged(rest.pop())
    assert spool.flush(FLUSH_S)
    assert left == [0]


def test_the_file_keeps_to_its_bound(spools: Callable[..., DiskSpool], tmp_path: Path) -> None:
    spool = spools(max_mb=0.2)
    for number in range(3000):
        spool.accept(event(f"label {number}" * (1 + number % 30)))
        if number % 100 == 0:
            assert spool.flush(FLUSH_S)
    spool.close()
    assert (tmp_path / NAME).stat().st_size <= 200_000 * 1.1
    found = audit(tmp_path)
    assert found["balanced"]
    assert found["dropped"]["full"] > 1000


def test_acknowledged_rows_leave_the_file_soon(
    spools: Callable[..., DiskSpool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edged.spool.writer.SETTLE_S", 0.01)
    spool = spools()
    spool.accept(event())
    assert spool.flush(FLUSH_S)
    spool.acknowledged(spool.pending(1)[0].sequence)
    until(lambda: audit(tmp_path)["acknowledged"] == 1)
    assert audit(tmp_path)["queued"] == 0


def test_what_rests_waits_again_after_a_kill_and_not_after_an_end_in_order(
    spools: Callable[..., DiskSpool], clock: Clock, tmp_path: Path
) -> None:
    spool = spools()
    for _ in range(4):
        spool.accept(event())
    Flushed(spool).pending(3)
    for sequence in (1, 2, 3):
        spool.acknowledged(sequence, keep=True)
    spool.settled([1])
    assert spool.flush(FLUSH_S)
    assert audit(tmp_path)["balanced"]
    killed = tmp_path / "killed"
    killed.mkdir()
    for file in tmp_path.glob(f"{NAME}*"):  # as it is on disk now
        shutil.copy(file, killed)
    other = disk(clock, killed)
    rows = Flushed(other).pending(9)
    assert [(row.sequence, row.waited) for row in rows] == [(2, True), (3, True), (4, True)]
    assert (other.counts().acknowledged, other.counts().accepted) == (1, 4)
    other.close()
    again = spools()
    assert sequences(Flushed(again).pending(9)) == [4]
    assert again.counts().acknowledged == 3


@pytest.mark.usefixtures("quick")
def test_what_rests_is_forgotten_where_the_file_was_made_anew(
    spools: Callable[..., DiskSpool], tmp_path: Path
) -> None:
    faults = FaultyDisk()
    spool = spools(connect=faults)
    for _ in range(2):
        spool.accept(event())
    Flushed(spool).pending(1)
    spool.acknowledged(1, keep=True)
    assert spool.flush(FLUSH_S)
    for file in tmp_path.glob(f"{NAME}*"):
        file.unlink()
    faults.fault, faults.once = Trouble.FAILED, True
    spool.accept(event())
    until(lambda: spool.counts().dropped and spool.flush(FLUSH_S))
    spool.recalled([1])
    assert (spool.counts().acknowledged, spool.counts().dropped) == (1, {"damaged": 1})
    assert 1 not in sequences(Flushed(spool).pending(9))
    assert spool.counts().balanced
