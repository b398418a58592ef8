"""Decisions are kept for `edged log`, and never hold up what decides."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING, Any

from edged.daemon import decision_log
from edged.daemon.decision_log import MOST_WAITING, NAME, OLDER, DecisionLog
from edged.daemon.publisher import EventMaker
from edged.testing.supervisor import outcome, status

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from edged.events import Event


def event(kind: str = "start", label: str = "cat", **changes: Any) -> Event:
    made = EventMaker("n", synced=lambda: True).event(
        outcome(kind=kind, label=label, **changes), status("porch"), numbered=False
    )
    return made.with_id("n/e/1")


def lines(folder: Path, name: str = NAME) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_a_line_has_what_a_person_asks_and_no_more(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path, 1)
    log.note("started")
    for kind in ("start", "heartbeat", "result", "change", "end"):
        log.add(event(kind))
    log.note("off", "porch")
    log.close(5)
    found = lines(tmp_path)
    assert [line["type"] for line in found] == ["started", "start", "change", "end", "off"]
    assert set(found[1]) == {"ts", "type", "id", "pipeline", "label", "score", "previous", "clock"}
    assert found[4]["pipeline"] == "porch"
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o640 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_size_is_bounded_and_the_newest_are_kept(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path, 0.01)  # two files of 5 kB
    for number in range(200):
        log.add(event(label=f"label {number}"))
    log.close(5)
    sizes = [(tmp_path / name).stat().st_size for name in (NAME, OLDER)]
    assert all(0 < size <= 5000 for size in sizes)
    found = [*lines(tmp_path, OLDER), *lines(tmp_path)]
    assert [line["label"] for line in found] == [f"label {n}" for n in range(200 - len(found), 200)]
    assert len(found) > 20


def test_with_size_0_nothing_is_kept_and_nothing_is_left(tmp_path: Path) -> None:
    log = DecisionLog(tmp_path, 1)
    log.add(event())
    log.close(5)
    (tmp_path / OLDER).write_text("{}\n")
    other = DecisionLog(tmp_path, 0)
    other.add(event())
    other.close(5)
    assert list(tmp_path.iterdir()) == []
    other.resize(1)
    other.add(event())
    other.close(5)
    assert len(lines(tmp_path)) == 1
    other.resize(0)
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_was_cut_off_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text('{"ts":"2026-')
    log = DecisionLog(tmp_path, 1)
    log.add(event())
    log.add(event(label="dog"))
    log.close(5)
    first, *others = (tmp_path / NAME).read_text().splitlines()
    assert first == '{"ts":"2026-'
    assert [json.loads(line)["label"] for line in others] == ["cat", "dog"]


def test_a_folder_that_takes_nothing_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = DecisionLog(tmp_path / "absent", 1)
    for _ in range(5):
        log.add(event())
    log.close(5)
    assert caplog.text.count("decisions are not kept in") == 1
    (tmp_path / "absent").mkdir()
    log.add(event())
    log.close(5)
    assert len(lines(tmp_path / "absent")) == 1


def test_a_link_that_somebody_left_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("precious")
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    log = DecisionLog(tmp_path, 1)
    log.add(event())
    log.close(5)
    assert (tmp_path / "other").read_text() == "precious"


def test_a_disk_that_hangs_holds_up_nothing_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, write = threading.Event(), os.write

    def hang(descriptor: int, data: bytes) -> int:
        goes_on.wait(30)
        return write(descriptor, data)

    log = DecisionLog(tmp_path, 64)
    monkeypatch.setattr(decision_log.os, "write", hang)
    for _ in range(MOST_WAITING + 500):
        log.add(event())
    log.close(0.01)  # does not wait for it
    goes_on.set()
    monkeypatch.undo()
    log.add(event(label="dog"))
    log.close(30)
    found = lines(tmp_path)
    lost = sum(line.get("count", 0) for line in found)
    assert lost > 0
    assert lost + sum(line["type"] == "start" for line in found) == MOST_WAITING + 501
