"""JSON lines: every line whole, rotation as promised; a reader that went away costs lines, not the daemon."""

from __future__ import annotations

import json
import os
import resource
import signal
from typing import TYPE_CHECKING

import pytest

from edged.errors import Reason, Unavailable
from edged.events import Event, Finding, ModelTag
from edged.sinks.drivers.jsonl import JsonlSink

if TYPE_CHECKING:
    from pathlib import Path

LINE = b'{"n":1234567}'  # 14 bytes with its end


def test_an_event_is_one_line_at_once(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(str(path))
    event = Event(
        type="start", node="n", pipeline="p", label="zwei\u2028Zeilen", score=0.5, previous="unknown",
        top=(Finding("x", 0.5),), captured_at="t", ts="t", clock="synced", model=ModelTag("m", "35e8e20b"),
        accelerator="cpu", latency_ms=1.0,
    )  # fmt: skip
    sink.send(event.to_json())
    sink.send(LINE)
    lines = path.read_bytes().split(b"\n")
    assert json.loads(lines[0])["label"] == "zwei\u2028Zeilen"
    assert lines[1:] == [LINE, b""]
    assert sink.sent == 2
    sink.close()
    sink.close()


def test_it_appends_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"before\n")
    sink = JsonlSink(str(path))
    sink.send(LINE)
    sink.close()
    assert path.read_bytes() == b"before\n" + LINE + b"\n"
    assert path.stat().st_mode & 0o007 == 0 or path.stat().st_mode & 0o777 == 0o644  # it was there before


@pytest.mark.parametrize("keep", [0, 1, 3])
def test_rotation_keeps_the_newest(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(str(path), max_mb=30e-6, keep=keep)  # two lines a file
    for _ in range(11):
        sink.send(LINE)
    sink.close()
    names = ["events.jsonl", *(f"events.jsonl.{n}" for n in range(1, keep + 1))]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [len((tmp_path / name).read_bytes().splitlines()) for name in names] == [1] + [2] * keep


def test_a_missing_folder_is_reported_and_may_come_later(tmp_path: Path) -> None:
    sink = JsonlSink(str(tmp_path / "later" / "events.jsonl"))
    with pytest.raises(Unavailable, match="No such file") as lost:
        sink.send(LINE)
    assert lost.value.reason is Reason.ABSENT
    assert sink.failed == {"absent": 1}
    (tmp_path / "later").mkdir()
    sink.send(LINE)
    assert sink.sent == 1
    sink.close()


def test_a_full_disk_costs_lines_and_leaves_no_half_ones_joined(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(str(path))
    sink.send(LINE)
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (20, before[1])
    )  # EFBIG is as good as ENOSPC, without a disk to fill
    try:
        with pytest.raises(Unavailable):
            sink.send(LINE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    sink.send(LINE)
    sink.close()
    lines = path.read_bytes().splitlines()
    assert (lines[0], lines[-1], len(lines)) == (LINE, LINE, 3)
    assert (sink.sent, sum(sink.failed.values())) == (2, 1)


def test_a_full_device_is_reported() -> None:
    sink = JsonlSink("/dev/full")
    with pytest.raises(Unavailable, match="No space"):
        sink.send(LINE)
    sink.close()


def test_a_reader_that_went_away(monkeypatch: pytest.MonkeyPatch) -> None:
    sink, read = piped(monkeypatch)
    sink.send(LINE)
    os.close(read)
    with pytest.raises(Unavailable) as lost:
        sink.send(LINE)
    assert lost.value.reason is Reason.LOST


def test_a_reader_that_stopped_reading_does_not_stop_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edged.sinks.drivers.jsonl.PATIENCE_S", 0.0)
    sink, read = piped(monkeypatch)
    line = b"x" * 6000

    def flood() -> None:
        for _ in range(100):
            sink.send(line)

    with pytest.raises(Unavailable, match="nobody reads") as lost:
        flood()
    assert lost.value.reason is Reason.TIMEOUT
    got = drain(read)
    sink.send(LINE)
    got += drain(read)
    lines = got.splitlines()
    assert lines[-1] == LINE  # on a line of its own, whatever was cut before it
    assert sink.sent == lines.count(line) + 1
    os.close(read)


def test_a_fifo_without_a_reader_does_not_hold_up_the_daemon(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    sink = JsonlSink(str(tmp_path / "fifo"))
    with pytest.raises(Unavailable) as lost:
        sink.send(LINE)
    assert lost.value.reason is Reason.ABSENT


class Stdout:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


def piped(monkeypatch: pytest.MonkeyPatch) -> tuple[JsonlSink, int]:
    read, write = os.pipe()
    monkeypatch.setattr("sys.stdout", Stdout(write))
    return JsonlSink("-"), read


def drain(read: int) -> bytes:
    os.set_blocking(read, False)
    got = b""
    while True:
        try:
            got += os.read(read, 65536)
        except BlockingIOError:
            return got
